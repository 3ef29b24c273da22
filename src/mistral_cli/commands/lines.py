"""``mistral gen --lines``: each line of stdin a prompt, one JSON object a line out, in the same order.

Lines are answered side by side. One is read when there is a place for it, so that endless input takes bounded memory,
and while answers are being made nobody waits for the next line: it may depend on them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from mistral_cli.commands.ending import ENDING
from mistral_cli.commands.forms import Json
from mistral_cli.commands.job import Job
from mistral_cli.commands.prompt import Reader
from mistral_cli.contract import Done, Event, TextDelta
from mistral_cli.errors import ContextError, MistralError, PartialFailureError
from mistral_cli.ui.events import show_beside, show_end, stats_line

if TYPE_CHECKING:
    from mistral_cli.backends.many import Request

HELD_BACK: Final = 1000
"""Lines that may wait, answered, for one before them; then no more are read."""


def answer_lines(job: Job, reader: Reader) -> PartialFailureError | None:
    """Answer every line; return what to raise in the end where some failed (each has an object with its error).

    Ctrl-C ends the lines that are being answered and is left in ``job.cancel``. Whatever ends it, what is complete is
    written.
    """
    from mistral_cli.backends.many import stream_many

    lines, started = _Lines(job=job, reader=reader), time.perf_counter()
    try:
        with job.cancel:
            for index, event in stream_many(job.backend, lines.requests(), rows=job.settings.batch):
                ENDING.check()
                lines.take(index, event)
    finally:
        with contextlib.suppress(OSError):  # the reader is gone: the first error is the one to tell
            lines.write_rest()
    if job.settings.stats:
        seconds = time.perf_counter() - started
        speed = f"{lines.tokens / seconds:,.1f} tokens/s in all"
        job.console.stats(f"{lines.count:,} lines · {lines.tokens:,} tokens · {seconds:,.1f} s · {speed}")
    if not lines.failed:
        return None
    text = f"{lines.failed} of {lines.count} lines failed."
    return PartialFailureError(text, 'Each has an object that says why: "error".')


@dataclass(slots=True)
class _Held:
    """Takes the object of one line until those before it are written."""

    text: str = ""

    def write(self, text: str) -> None:
        self.text += text

    def mark_partial(self) -> None:
        """Change nothing: an object says itself why its answer ended."""


@dataclass(slots=True, kw_only=True)
class _Line:
    """One line on its way."""

    number: int
    held: _Held
    form: Json


@dataclass(slots=True, kw_only=True)
class _Lines:
    """The lines that were read and not yet written, in their order."""

    job: Job
    reader: Reader
    failed: int = 0
    count: int = 0
    """Lines that were no blank ones."""
    tokens: int = 0
    """Of all answers."""
    _asked: dict[int, _Line] = field(default_factory=dict)
    """By the number of their request, from 0."""
    _waiting: list[_Line] = field(default_factory=list)
    """All, in their order."""

    def requests(self) -> Iterator[Request | None]:
        """Yield a request for each line, None where there is none yet and others are being answered."""
        from mistral_cli.backends.many import Request

        asked = 0
        for number, text in self._numbered():
            while len(self._waiting) >= HELD_BACK and self._asked:
                yield None
            if text is None:
                yield None
                continue
            line = self._begin(number)
            try:
                if isinstance(text, ContextError):
                    raise text
                request = Request(prompt=self.job.prompt(text), params=self.job.params, cancel=self.job.cancel)
            except MistralError as error:
                self._fail(line, error)
                continue
            self._asked[asked] = line
            asked += 1
            yield request

    def take(self, index: int, event: Event | MistralError) -> None:
        """Take what happened to a request; write what has its turn.

        Raises:
            OSError: it could not be written.
        """
        line = self._asked[index]
        if isinstance(event, TextDelta):
            line.form.push(event)
        elif isinstance(event, Done):
            del self._asked[index]
            if event.reason == "cancelled" and not event.ids:
                self._waiting.remove(line)  # as one that was never begun
            else:
                self._finish(line, event)
        elif isinstance(event, MistralError):
            del self._asked[index]
            self._fail(line, event)
        else:
            show_beside(event, self.job.console)

    def write_rest(self) -> None:
        """Write what is complete, whatever is missing before it."""
        for line in self._waiting:
            if line.held.text:
                self.job.target.write(line.held.text)
        self._waiting.clear()

    def _numbered(self) -> Iterator[tuple[int, str | ContextError | None]]:
        """Yield the lines that are not blank with their numbers, from 1; None where there is none yet."""
        source = self.reader.stdin.lines(
            self.reader.say_waiting,
            self.job.console.warning,
            may_wait=lambda: not self._asked,
            is_over=self.job.cancel.is_set,
        )
        number = 0
        for text in source:
            number += text is not None
            if text is None or isinstance(text, ContextError) or text.strip():
                yield number, text

    def _begin(self, number: int) -> _Line:
        held = _Held()
        line = _Line(number=number, held=held, form=replace(self.job.json(line=number), target=held))
        self.count += 1
        self._waiting.append(line)
        return line

    def _finish(self, line: _Line, done: Done) -> None:
        try:
            line.form.finish(done)
        except MistralError as error:
            self._fail(line, error)
            return
        self.tokens += done.answer_tokens
        show_end(done, self.job.params.max_tokens, self.job.console, label=f"line {line.number}: ")
        if self.job.settings.stats:
            info = self.job.backend.info
            told = stats_line(done, info.quantization, info.kv, adapters=info.adapters)
            self.job.console.stats(f"line {line.number} · {told}")
        self._write()

    def _fail(self, line: _Line, error: MistralError) -> None:
        self.failed += 1
        line.form.write({"line": line.number, "error": str(error), "exit_code": error.exit_code})
        self._write()

    def _write(self) -> None:
        """Write the lines that none before them holds back."""
        while self._waiting and self._waiting[0].held.text:
            self.job.target.write(self._waiting.pop(0).held.text)
