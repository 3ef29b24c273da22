"""One answer of a chat: asked for, shown as it comes, summed up as a turn. Knows no keyboard, no store, no command."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mistral_cli.chat.context import Request
from mistral_cli.chat.steering import CANDIDATES, Beginning, shown_tokens
from mistral_cli.chat.turn import TurnRecord
from mistral_cli.contract import Done, TextDelta
from mistral_cli.ui.events import show_beside

if TYPE_CHECKING:
    from mistral_cli.chat.conversation import Conversation
    from mistral_cli.chat.turn import Turn
    from mistral_cli.contract import Backend, Cancel, Message, ModelInfo, SamplingParams, TokenInfo
    from mistral_cli.ui.answer import AnswerWriter
    from mistral_cli.ui.console import Console


@dataclass(slots=True, kw_only=True)
class Asking:
    """One answer that is asked for."""

    question: str
    after: Conversation
    """What it follows."""
    begun: Beginning
    """The beginning of the answer, which it goes on from."""
    params: SamplingParams
    again: Turn | None = None
    """The turn whose question is answered once more."""
    left_out: int = 0
    """Of the oldest turns, how many are not in the prompt."""
    done: Done | None = None
    """How the answer ended, once it did."""
    is_kept: bool = False
    """Whether what became of it is in the conversation, or was nothing."""
    _tokens: list[TokenInfo] = field(default_factory=list)
    """What was drawn."""
    _said: list[str] = field(default_factory=list)
    """What came after the words it goes on from."""

    def request(self, info: ModelInfo) -> Request:
        """Return what has to fit into the context of a model."""
        return Request(
            after=self.after,
            question=self.question,
            begun=self.begun.messages(),
            again=self.again,
            params=self.params,
            info=info,
        )

    @property
    def adds_nothing(self) -> bool:
        """Tell whether the model ended an answer that it went on from at once."""
        done = self.done
        return done is not None and bool(self.begun.text) and not done.text and done.reason == "stop"

    def stream(self, backend: Backend, writer: AnswerWriter, console: Console, cancel: Cancel) -> None:
        """Show the answer as it comes, and end its line whatever happens.

        Raises:
            MistralError: as ``Backend.stream``.
        """
        params = replace(self.params, logprobs=max(CANDIDATES, self.params.logprobs or 0))
        events = backend.stream((*self._asked(), *self.begun.messages()), params, cancel=cancel)
        try:
            writer.push(self.begun.text)
            for event in events:
                if isinstance(event, TextDelta):
                    self._note(event)
                    writer.push(event.text)
                elif isinstance(event, Done):
                    self.done = event
                    return
                else:
                    show_beside(event, console)
        finally:
            writer.finish()

    def begun_tokens(self, done: Done, backend: Backend) -> int:
        """Return how many tokens of the prompt are the beginning of the answer."""
        if self.begun.ids or not self.begun.text or not done.prompt_tokens:
            return len(self.begun.ids)
        return max(done.prompt_tokens - backend.count(self._asked()), 0)

    def turn(self, backend: Backend) -> Turn | None:
        """Return the turn that this became, cut short where the answer never came to its end; None: nothing said."""
        done = self.done or self._cut_short()
        begun = self.begun_tokens(done, backend)
        record = TurnRecord.of(done, self.params, backend.info, begun=begun, left_out=self.left_out)
        tokens = self.begun.all_tokens(tuple(self._tokens))
        return self.after.answered(self.question, self.begun.joined(done), record, tokens)

    def _cut_short(self) -> Done:
        ids = tuple(token.id for token in self._tokens)
        return Done(reason="cancelled", text="".join(self._said), ids=ids, answer_tokens=len(ids))

    def _asked(self) -> tuple[Message, ...]:
        return self.after.prompt(self.question, left_out=self.left_out)

    def _note(self, event: TextDelta) -> None:
        """Remember a piece; what comes before the first token is what the chosen ones before it say."""
        self._said.append(event.text)
        if not event.tokens and not self._tokens and self.begun.tokens:
            *others, last = self.begun.tokens
            self.begun = replace(self.begun, tokens=(*others, replace(last, text=last.text + event.text)))
        self._tokens.extend(shown_tokens(event))
