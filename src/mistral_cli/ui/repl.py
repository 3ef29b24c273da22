"""The chat in a terminal: read a line, answer it, keep both. Handed a back end and a keeper; opens nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mistral_cli.chat.caching import NoCaches
from mistral_cli.chat.conversation import Conversation
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.steering import Beginning
from mistral_cli.errors import ContextError, MistralError, OutOfMemoryError, UsageError
from mistral_cli.settings.options import well_formed
from mistral_cli.ui.answer import AnswerWriter, Direct
from mistral_cli.ui.asking import Asking
from mistral_cli.ui.events import in_a_chat, show_end, stats_line
from mistral_cli.ui.interrupt import Interrupt, unbroken
from mistral_cli.ui.mentions import with_files
from mistral_cli.ui.overflow import NotSentError, Overflow
from mistral_cli.ui.slash import dispatch
from mistral_cli.ui.typed import is_command, question_of, read_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mistral_cli.chat.caching import Caches
    from mistral_cli.chat.session import Session
    from mistral_cli.chat.store import Store
    from mistral_cli.chat.turn import Turn
    from mistral_cli.contract import Backend, Cancel, Done, SamplingParams
    from mistral_cli.ui.console import Console
    from mistral_cli.ui.slash.choice import Choice

LEAVES_WITHIN = 1.0
"""Seconds between two Ctrl-C that leave the chat."""


def no_line() -> str:
    """Read from nobody.

    Raises:
        EOFError: at once.
    """
    raise EOFError


def no_objection(_name: str) -> bool:
    """Find nothing wrong with a model, and take it for another than the one that answers."""
    return False


@dataclass(slots=True, kw_only=True)
class Repl:
    """One chat. ``read`` returns the next line that was typed, or raises EOFError (Ctrl-D) or KeyboardInterrupt."""

    backend: Backend
    params: SamplingParams
    console: Console
    read: Callable[[], str]
    conversation: Conversation = field(default_factory=Conversation)
    keeper: Keeper = field(default_factory=Keeper)
    """Puts each turn on the disk, or nowhere."""
    caches: Caches = field(default_factory=NoCaches)
    """Puts what was computed of a chat on the disk when it is left, or nowhere."""
    load: Callable[[str], Backend] | None = None
    """Loads another model, by its name, into the memory of the one that answered, which nobody holds then."""
    check: Callable[[str], bool] = no_objection
    """Raises what can be known to be wrong with a model while the one that answers is still loaded; tells whether it is
    that one."""
    reload: Callable[[], Backend] | None = None
    """Loads the model that answered again; by default ``load`` does, by its name."""
    models: Callable[[], Iterable[str]] = tuple
    """Names what ``load`` finds on this disk."""
    offer_adapter: Callable[[str], object] = no_objection
    """Fetches an adapter that is not on this disk, if somebody wants that; raises where it is nowhere."""
    before_role: tuple[SamplingParams, str] | None = None
    """Parameters and system prompt as they are without the role that answers; None: no role does."""
    place: Beginning | None = None
    """Where ``/back`` rewound the last answer to."""
    attached: list[str] = field(default_factory=list)
    """What ``/file`` read: it follows the next question."""
    is_strict: bool = False
    """The first error ends the chat: nobody reads what is said (``--script``)."""
    overflow: Overflow = field(default_factory=Overflow)
    """What is done when the context is full."""
    open_writer: Callable[[Console], AnswerWriter] = Direct
    """Returns what shows the next answer."""
    shows_stats: bool = False
    tells_keys: bool = False
    """Whether ``read`` tells Enter from Alt-Enter."""
    is_multiline: bool = False
    """Whether Enter begins a new line there."""
    draft: str = ""
    """What the next line begins with: what was typed and could not be asked."""
    is_over: bool = False
    _looked_up: dict[str, list[Choice]] = field(default_factory=dict)
    _interrupt: Interrupt = field(default_factory=lambda: Interrupt(LEAVES_WITHIN))

    @property
    def store(self) -> Store | None:
        """Where this chat and all others are kept; None: nowhere."""
        return self.keeper.store

    @property
    def session(self) -> Session | None:
        """This chat in the store, from its first turn on."""
        return self.keeper.session

    def run(self) -> None:
        """Read and answer until the user leaves.

        Raises:
            KeyboardInterrupt: Ctrl-C twice within a second.
            MistralError: what went wrong, where the chat is strict.
        """
        while not self.is_over:
            try:
                line = self.read_line()
            except EOFError:
                return
            except KeyboardInterrupt:
                self._interrupt.strike()
                self.console.notice("(Ctrl-C again leaves, and so does Ctrl-D)")
                continue
            self._interrupt.forget()
            self._take(line)

    def read_line(self) -> str:
        """Return the next line that was typed.

        Raises:
            EOFError: Ctrl-D.
            KeyboardInterrupt: Ctrl-C.
        """
        self._looked_up.clear()
        return well_formed(self.read())

    def looked_up(self, what: str, look: Callable[[], list[Choice]]) -> list[Choice]:
        """Return what ``look`` finds to complete a line with; it is called once a line, however many keys it has."""
        if what not in self._looked_up:
            self._looked_up[what] = look()
        return self._looked_up[what]

    def _take(self, line: str) -> None:
        """Run a command or answer a question; what goes wrong is said, and the chat goes on."""
        if not line.strip():
            return
        try:
            line = read_whole(line, self.read_line)
            if is_command(line):
                dispatch.run(line, self)
            else:
                self.send(question_of(line), line)
        except NotSentError:
            self.draft = self.draft or line
            self.console.notice("(not sent)")
        except MistralError as error:
            if self.is_strict:
                raise
            self.console.error(error)
        except EOFError:  # Ctrl-D in the middle of a command's lines
            self.is_over = True
        except KeyboardInterrupt:
            if self.is_strict:
                raise
            self._interrupt.strike()

    def send(self, question: str, typed: str = "") -> None:
        """Ask what was typed, with the files that it names by ``@``.

        Args:
            question: what is asked; nothing where it is empty.
            typed: what stands in the next line where it cannot be asked.

        Raises:
            UsageError, ContextError: a file cannot go with it, or as ``ask``.
        """
        try:
            if question.strip():
                self.ask(with_files(question, self.console.notice))
        except (UsageError, ContextError):
            self.draft = typed
            raise

    def stand(self, conversation: Conversation) -> None:
        """Go to another place in the tree of turns."""
        self.conversation = conversation
        self.place = None
        self.keeper.stand_at(conversation)

    def begin_session(self, conversation: Conversation, session: Session | None = None) -> None:
        """Go on with another chat: a new one, or one that was kept."""
        self.caches.leave(self.backend, self.keeper)
        if session is not None:
            self.caches.enter(self.backend)
        role = self.keeper.role if session is None else session.role
        self.keeper = Keeper(store=self.keeper.store, session=session, role=role, warn=self.keeper.warn)
        self.overflow.begin()
        self.conversation = conversation
        self.place = None

    def ask(
        self,
        question: str,
        *,
        after: Conversation | None = None,
        begun: Beginning | None = None,
        params: SamplingParams | None = None,
        again: Turn | None = None,
    ) -> None:
        """Answer ``question`` and remember the turn; an answer that Ctrl-C cut short is kept and marked so.

        Args:
            question: what is asked.
            after: the conversation that it follows; by default the present one.
            begun: the beginning of the answer, to go on from.
            params: how to draw, for this once.
            again: the turn whose question is answered once more, with the prompt that it had.

        Raises:
            NotSentError: the context is full, and whoever was asked would have no turn left out.
            MistralError: as ``Backend.stream``; the conversation is as it was.
            KeyboardInterrupt: Ctrl-C twice within a second.
        """
        job = Asking(
            question="\n\n".join([question, *self.attached]) if after is None else question,
            after=after or self.conversation,
            begun=begun or Beginning(),
            params=params or self.params,
            again=again,
        )
        job.left_out = self.overflow.make_room(job.request(self.backend.info), self.backend.count, self.console)
        with self._interrupt as cancel:
            done = self._answer(job, cancel)
            if done is not None:
                self._show_end(job, done)
            if done is not None and self.is_strict and cancel.is_set():
                raise KeyboardInterrupt
        if done is not None and not self.is_strict:
            self.console.gap()

    def _answer(self, job: Asking, cancel: Cancel) -> Done | None:
        """Show and keep one answer, whatever ends it; None where nothing was added to the one it goes on from."""
        try:
            job.stream(self.backend, self.open_writer(self.console), self.console, cancel)
            with unbroken():
                self._remember(job)
        except (
            KeyboardInterrupt,
            SystemExit,
            OSError,
            OutOfMemoryError,
        ):  # a signal, a closed pipe: it is kept
            with unbroken():
                self._remember(job)
            raise
        if job.adds_nothing:
            self.console.notice("(nothing was added: the answer ends here)")
            return None
        return job.done

    def _show_end(self, job: Asking, done: Done) -> None:
        """Say why an answer ended where that matters, how full the context is, and how fast it was if that is asked."""
        show_end(done, job.params.max_tokens, self.console, hints=in_a_chat(has_turns=job.after.leaf is not None))
        self.overflow.warn(done, self.backend.info.context, self.console)
        if self.shows_stats:
            info, begun_tokens = self.backend.info, job.begun_tokens(done, self.backend)
            told = stats_line(done, info.quantization, info.kv, adapters=info.adapters, begun=begun_tokens)
            self.console.stats(told)

    def _remember(self, job: Asking) -> None:
        """Put the turn into the tree, once, and stand there; an empty answer is none."""
        turn = None if job.is_kept or job.adds_nothing else job.turn(self.backend)
        job.is_kept = True
        if turn is not None:
            self.conversation = job.after.with_turn(self.keeper.keep(turn))
            self.place = None
            self.attached.clear()
