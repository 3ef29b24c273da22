"""What people pipe or name: bytes of stdin and files, in bounded memory, as text. Knows no prompt and no command."""

from __future__ import annotations

import codecs
import select
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mistral_cli.errors import ContextError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INPUT_LIMIT = 32 * 2**20
"""Bytes of one input at most: no context here holds more, and the memory for it is bounded."""
SAY_WAITING_AFTER = 2.0
"""Seconds."""
POLL = 0.1
"""Seconds between two looks at whether a line is still wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stdin:
    """The process's standard input; ``file`` is None where it was closed before we started."""

    file: BinaryIO | None
    is_terminal: bool = False

    @classmethod
    def open(cls) -> Stdin:
        """Take over ``sys.stdin``."""
        if sys.stdin is None:
            return cls(file=None)
        return cls(file=sys.stdin.buffer, is_terminal=sys.stdin.isatty())

    @property
    def is_piped(self) -> bool:
        """Tell whether something may come without a person typing it."""
        return self.file is not None and not self.is_terminal

    def read(self, on_waiting: Callable[[], None], on_invalid: Callable[[str], None]) -> str:
        """Read all of it; ``on_waiting`` is called once if nothing came for two seconds.

        Raises:
            ContextError: more than ``INPUT_LIMIT`` bytes.
        """
        if self.file is None:
            return ""
        with _patience(on_waiting):
            data = self.file.read(INPUT_LIMIT + 1)
        return decode(_limited(data, "stdin"), "stdin", on_invalid)

    def wait(self, on_waiting: Callable[[], None]) -> None:
        """Return when something can be read, or all was; ``on_waiting`` is called if that takes two seconds."""
        if self.file is not None:
            with _patience(on_waiting):
                self.file.peek(1)  # type: ignore[attr-defined]  # a buffered file has it

    def lines(
        self,
        on_waiting: Callable[[], None],
        on_invalid: Callable[[str], None],
        *,
        may_wait: Callable[[], bool] = lambda: True,
        is_over: Callable[[], bool] = lambda: False,
    ) -> Iterator[str | ContextError | None]:
        """Yield each line as it comes, without its end; an error instead of one of more than ``INPUT_LIMIT`` bytes.

        Args:
            on_waiting: called the first time that nothing comes for two seconds.
            on_invalid: told the first of several lines that are not UTF-8.
            may_wait: asked where no whole line has come yet; if not, None is yielded instead of one.
            is_over: asked while waiting; if so, no more lines are wanted.
        """
        if self.file is None:
            return
        source, untold, unsaid = _Lines(self.file), [on_invalid], [on_waiting]
        while not is_over():
            if not source.is_ready():
                if not may_wait():
                    yield None
                    continue
                with _patience(lambda: unsaid and unsaid.pop()()):
                    while not is_over() and not source.is_ready(POLL):
                        pass
                continue
            data = source.next()
            if not data:
                return
            name = f"line {source.number} of stdin"
            try:
                yield strip_line_end(decode(_limited(data, name), name, lambda text: untold and untold.pop()(text)))
            except ContextError as error:
                yield error


class _Lines:
    """The lines of a file, read no further than is there: a pipe's next line may depend on the answer to the last.

    Args:
        file: a buffered file that nobody has read from.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.number = 0
        """Of the line that was taken last, from 1."""
        self._file = file
        self._held = bytearray()
        self._searched = 0
        self._skips = False
        self._ended = False

    def is_ready(self, seconds: float = 0) -> bool:
        """Tell whether ``next`` returns at once; what is missing is waited for as long."""
        while not self._has_line():
            if not _is_readable(self._file, seconds):
                return False
            self._fill()
        return True

    def next(self) -> bytes:
        """Return the next line with its end, empty at the end of the file; the beginning of one that is too long."""
        while not self._has_line():
            self._fill()
        end = self._held.find(b"\n", self._searched) + 1 or len(self._held)
        self._skips = end > INPUT_LIMIT and self._held[end - 1 : end] != b"\n"
        line = bytes(self._held[:end])
        del self._held[:end]
        self._searched = 0
        self.number += 1
        return line

    def _has_line(self) -> bool:
        found = self._held.find(b"\n", self._searched) >= 0
        if not found:
            self._searched = len(self._held)
        return found or self._ended or len(self._held) > INPUT_LIMIT

    def _fill(self) -> None:
        """Take what is there, or wait for it; drop what still belongs to a line that was too long."""
        data = self._file.read1(1 << 16)  # type: ignore[attr-defined]  # a buffered file has it
        self._ended = not data
        if self._skips:
            end = data.find(b"\n") + 1
            self._skips, data = not end, data[end:] if end else b""
        self._held += data


def _is_readable(file: BinaryIO, seconds: float) -> bool:
    try:
        return bool(select.select([file], [], [], seconds)[0])
    except (OSError, ValueError):  # no file of the system's, or a system that cannot tell: then reading may wait
        return True


def read_file(path: str, on_invalid: Callable[[str], None]) -> str:
    """Return the text of a file.

    Raises:
        UsageError: it cannot be read.
        ContextError: more than ``INPUT_LIMIT`` bytes.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(INPUT_LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path:.300} cannot be read: {reason}.") from None
    return decode(_limited(data, path), path, on_invalid)


def decode(data: bytes, name: str, on_invalid: Callable[[str], object]) -> str:
    """Return UTF-8 bytes as text: invalid ones as U+FFFD after one warning, a BOM at the start dropped."""
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        on_invalid(f"{name} is not valid UTF-8 (byte {error.start}); what is not is read as U+FFFD.")
        return data.decode(errors="replace")


def strip_line_end(text: str) -> str:
    """Drop one line end at the end, as a shell's ``$(…)`` does."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def _limited(data: bytes, name: str) -> bytes:
    if len(data) > INPUT_LIMIT:
        message = f"{name} holds more than {INPUT_LIMIT:,} bytes (at least {len(data):,}), longer than any context."
        raise ContextError(message, "Give a part of it.")
    return data


class _patience:  # noqa: N801 (reads as a verb: with patience)
    """Call ``on_waiting`` if the block takes longer than two seconds."""

    def __init__(self, on_waiting: Callable[[], object]) -> None:
        self._timer = threading.Timer(SAY_WAITING_AFTER, on_waiting)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()  # what is being said at this moment comes before what follows
