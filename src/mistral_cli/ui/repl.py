"""The chat in a terminal: read a line, answer it, remember both. Handed a back end; loads nothing, stores nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mistral_cli.chat.conversation import Conversation
from mistral_cli.chat.turn import TurnRecord
from mistral_cli.contract import Done, TextDelta
from mistral_cli.errors import MistralError
from mistral_cli.settings.options import well_formed
from mistral_cli.ui import slash
from mistral_cli.ui.events import show_beside, show_end, stats_line
from mistral_cli.ui.interrupt import Interrupt

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.contract import Backend, SamplingParams, TokenInfo
    from mistral_cli.ui.console import Console

LEAVES_WITHIN = 1.0
"""Seconds between two Ctrl-C that leave the chat."""


@dataclass(slots=True, kw_only=True)
class Repl:
    """One chat. ``read`` returns the next line that was typed, or raises EOFError (Ctrl-D) or KeyboardInterrupt."""

    backend: Backend
    params: SamplingParams
    console: Console
    read: Callable[[], str]
    conversation: Conversation = field(default_factory=Conversation)
    shows_stats: bool = False
    is_over: bool = False
    _tokens: list[TokenInfo] = field(default_factory=list)
    """The tokens of the answer that is being said, or was said last."""
    _interrupt: Interrupt = field(default_factory=lambda: Interrupt(LEAVES_WITHIN))

    def run(self) -> None:
        """Read and answer until the user leaves.

        Raises:
            KeyboardInterrupt: Ctrl-C twice within a second.
        """
        while not self.is_over:
            try:
                line = well_formed(self.read())
            except EOFError:
                return
            except KeyboardInterrupt:
                self._interrupt.strike()
                self.console.notice("(Ctrl-C again leaves, and so does Ctrl-D)")
                continue
            self._take(line)

    def _take(self, line: str) -> None:
        """Run a command or answer a question; what goes wrong is said, and the chat goes on."""
        if not line.strip():
            return
        try:
            if line.startswith("/") and not line.startswith("//"):
                slash.run(line, self)
            else:
                self.ask(line.removeprefix("/") if line.startswith("//") else line)
        except MistralError as error:
            self.console.error(error)

    def ask(self, question: str) -> None:
        """Answer ``question`` and remember the turn; an answer that Ctrl-C cut short is kept and marked so.

        Raises:
            MistralError: as ``Backend.stream``; the conversation is as it was.
            KeyboardInterrupt: Ctrl-C twice within a second.
        """
        with self._interrupt as cancel:
            done = self._stream(question, cancel)
        if done is not None:
            show_end(done, self.params.max_tokens, self.console)
            self._remember(question, done)
            if self.shows_stats:
                self.console.stats(stats_line(done, self.backend.info.quantization, self.backend.info.kv))

    def _remember(self, question: str, done: Done) -> None:
        """Put the turn into the conversation; an empty answer is none."""
        turn = self.conversation.answered(
            question, done, TurnRecord.of(done, self.params, self.backend.info), tuple(self._tokens)
        )
        if turn is not None:
            self.conversation = self.conversation.with_turn(turn)

    def _stream(self, question: str, cancel: Interrupt) -> Done | None:
        """Show the answer as it comes, and end its line whatever happens."""
        begun = False
        self._tokens.clear()
        try:
            for event in self.backend.stream(self.conversation.prompt(question), self.params, cancel=cancel):
                if isinstance(event, TextDelta):
                    self._tokens.extend(event.tokens)
                    begun = begun or bool(event.text)
                    self.console.answer(event.text)
                elif isinstance(event, Done):
                    return event
                else:
                    show_beside(event, self.console)
        finally:
            if begun:
                self.console.answer("\n")
        return None
