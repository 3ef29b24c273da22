"""Stand-ins for what tests need not wait for: a back end that says what it is told, streams that are no terminal."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mistral_cli.contract import (
    Cancel,
    Done,
    Event,
    ModelInfo,
    Notice,
    PrefillProgress,
    Prompt,
    Reason,
    SamplingParams,
    TextDelta,
    TokenInfo,
    Tool,
)
from mistral_cli.errors import ContextError, MistralError
from mistral_cli.tune.events import Evaluation, Job, Outcome, Progress, Watcher
from mistral_cli.tune.training import checkpoints
from mistral_cli.ui.console import Console, Stream
from mistral_cli.ui.stdin import Stdin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

FAKE_INFO = ModelInfo(
    name="fake",
    path="/nowhere",
    parameters=7,
    dtype="float32",
    device="cpu",
    context=64,
    tokenizer="v3",
)
BASE_INFO = ModelInfo(
    name="fake-base",
    path="/nowhere",
    parameters=7,
    dtype="float32",
    device="cpu",
    context=64,
    tokenizer="v3",
    is_base=True,
)


@dataclass
class FakeBackend:
    """Says its answers in turn (the last one again and again; without any, the question), a word a token.

    Beside the word it says, ``alternatives`` were likely, too. After a prefix it says its next answer; ids that are put
    behind the prefix's own words are said first.

    A prompt of more words than the context is refused, and an answer that fills it ends there. After ``fails_after``
    pieces ``error`` is raised.
    ``before_piece`` is called with the number of each piece and the cancel flag: it may wait for a condition.
    """

    answers: Sequence[str | Sequence[str]] = ("Hello there, friend.",)
    info: ModelInfo = FAKE_INFO
    defaults: Mapping[str, object] = field(default_factory=dict)
    notices: Sequence[str] = ()
    alternatives: Sequence[str] = ()
    error: MistralError | None = None
    fails_after: int = 0
    before_piece: Callable[[int, Cancel | None], None] = lambda _number, _cancel: None
    prompts: list[Prompt] = field(default_factory=list)
    params: list[SamplingParams] = field(default_factory=list)
    ends: Reason | None = None
    """Why its answers end; None: because they do, or are cut."""
    pieces_said: int = 0
    was_closed: bool = False
    chosen: dict[int, str] = field(default_factory=dict)
    """The texts of ids that it did not say, but may be made to."""

    def count(self, prompt: Prompt, tools: Sequence[Tool] = ()) -> int:
        texts = [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
        return sum(len(text.split()) for text in texts)

    def stream(
        self, prompt: Prompt, params: SamplingParams, *, tools: Sequence[Tool] = (), cancel: Cancel | None = None
    ) -> Iterator[Event]:
        size = self.count(prompt)
        self.prompts.append(prompt)
        self.params.append(params)
        if size > self.info.context:
            numbers = f"The prompt has {size} tokens, but the context holds {self.info.context}."
            raise ContextError(numbers, "Shorten it.")
        yield from (Notice(text) for text in self.notices)
        yield PrefillProgress(size, size)
        owed = self._owed(prompt)
        if owed:
            yield TextDelta(owed)
        pieces = self._pieces()
        room = min(params.max_tokens or self.info.context, self.info.context - size)
        reason: Reason = self.ends or ("length" if len(pieces) >= room else "stop")
        pieces = pieces[:room]
        try:
            yield from self._say(pieces, size, params, cancel, owed, reason)
        except GeneratorExit:
            self.was_closed = True
            raise

    def encode_words(self, text: str, *, begins: bool) -> tuple[int, ...]:
        ids = tuple(range(2000 + len(self.chosen), 2000 + len(self.chosen) + len(text.split())))
        self.chosen.update(zip(ids, [text, *[""] * (len(ids) - 1)], strict=True))
        return ids

    def _owed(self, prompt: Prompt) -> str:
        """Return what ids at the end of a prefix say that its text does not."""
        last = prompt[-1]
        if isinstance(last, str) or not last.prefix:
            return ""
        text = "".join(self.chosen.get(token, "") for token in last.ids)
        return "" if last.content.endswith(text) else text

    def _pieces(self) -> list[str]:
        if not self.answers:
            return [self.prompts[-1][-1].content]
        answer = self.answers[min(len(self.prompts), len(self.answers)) - 1]
        if not isinstance(answer, str):
            return list(answer)
        words = answer.split(" ")
        return [word + " " for word in words[:-1]] + words[-1:]

    def _say(
        self,
        pieces: list[str],
        size: int,
        params: SamplingParams,
        cancel: Cancel | None,
        owed: str,
        reason: Reason,
    ) -> Iterator[Event]:
        said: list[str] = []
        others = tuple((1000 + rank, text, -1.5 - rank) for rank, text in enumerate(self.alternatives))
        self.chosen.update({token: text for token, text, _ in others})
        for number, piece in enumerate(pieces):
            self.before_piece(number, cancel)
            if self.error is not None and number == self.fails_after:
                raise self.error
            if cancel is not None and cancel.is_set():
                reason = "cancelled"
                break
            said.append(piece)
            self.pieces_said += 1
            top = ((number, piece, -0.5), *others) if params.logprobs else ()
            logprob = None if params.logprobs is None else -0.5
            yield TextDelta(piece, (TokenInfo(id=number, text=piece, logprob=logprob, top=top),))
        yield Done(
            reason=reason,
            text=owed + "".join(said),
            ids=tuple(range(len(said))),
            prompt_tokens=size,
            answer_tokens=len(said),
            seconds_to_first_token=0.25,
            tokens_per_second=40.0,
            seed=params.seed or 5,
            peak_memory=2**20,
        )


class FakeScreen(io.BytesIO):
    """The bytes that were written, as text."""

    @property
    def text(self) -> str:
        return self.getvalue().decode()


def fake_console(
    *, terminal: bool = False, color: bool = False, quiet: bool = False, columns: int = 80, rows: int = 24
) -> Console:
    """Return a console whose ``out.file`` and ``err.file`` are ``FakeScreen``s."""
    streams = [
        Stream(
            file=FakeScreen(),
            is_terminal=terminal,
            color=color,
            can_redraw=terminal,
            measure=lambda: columns,
            measure_rows=lambda: rows,
        )
        for _ in range(2)
    ]
    return Console(out=streams[0], err=streams[1], quiet=quiet)


def fake_stdin(data: bytes | None = None) -> Stdin:
    """Return a stdin that holds ``data``; a terminal where there is none."""
    return Stdin(file=io.BytesIO(data or b""), is_terminal=data is None)


@dataclass
class FakeTrainer:
    """Takes its steps at once, saves after every second, and leaves a file where an adapter would be.

    ``before_step`` is called with the number of each step. Of step ``fails_at``, ``error`` is raised. It begins after
    step ``goes_on_after``, as one that was interrupted there.
    """

    steps: int = 6
    seconds: float = 0.5
    goes_on_after: int = 0
    fails_at: int = 0
    error: Exception = field(default_factory=lambda: MistralError("The loss of step 3 is not finite."))
    before_step: Callable[[int], None] = lambda _number: None
    between: tuple[Evaluation, ...] = ()
    leave: Callable[[Path], None] = lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"")
    jobs: list[Job] = field(default_factory=list)

    def __call__(self, job: Job, watcher: Watcher, stopping: Callable[[], bool]) -> Outcome:
        self.jobs.append(job)
        before = Evaluation(step=0, loss=3.0, tokens=20)
        if not self.goes_on_after:
            watcher.evaluated(before)
        for step in range(self.goes_on_after + 1, self.steps + 1):
            self.before_step(step)
            if step == self.fails_at:
                raise self.error
            watcher.progress(self._progress(step))
            for evaluation in self.between:
                if evaluation.step == step:
                    watcher.evaluated(evaluation)
            if stopping():
                _leave_checkpoint(job, step)
                watcher.saved(step, job.folder)
                return self._outcome(job, step, before, None)
            if step % 2 == 0:
                _leave_checkpoint(job, step)
                watcher.saved(step, job.folder)
        after = Evaluation(step=self.steps, loss=1.0, tokens=20)
        watcher.evaluated(after)
        self.leave(job.folder)
        return self._outcome(job, self.steps, before, after)

    def _progress(self, step: int) -> Progress:
        return Progress(
            step=step,
            steps=self.steps,
            loss=3.0 / step,
            learning_rate=2e-4,
            gradient_norm=0.5,
            tokens=100,
            seconds=self.seconds,
        )

    def _outcome(self, job: Job, steps: int, before: Evaluation, after: Evaluation | None) -> Outcome:
        return Outcome(
            steps=steps,
            before=before,
            after=after,
            between=self.between,
            folder=job.folder,
            interrupted=after is None,
            seconds=self.seconds * steps,
            peak_bytes=5 * 10**8,
        )


def _leave_checkpoint(job: Job, step: int) -> None:
    """Leave one that is whole, with nothing in it but what says so."""
    place = checkpoints.place_of(job.folder, step)
    place.mkdir(parents=True, exist_ok=True)
    state = {"step": step, "identity": {}, "before": None, "files": {}}
    (place / checkpoints.STATE).write_text(json.dumps(state))
