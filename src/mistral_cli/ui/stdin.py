"""What people pipe or name: bytes of stdin and files, in bounded memory, as text. Knows no prompt and no command."""

from __future__ import annotations

import codecs
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

    def lines(self, on_waiting: Callable[[], None], on_invalid: Callable[[str], None]) -> Iterator[str | ContextError]:
        """Yield each line as it comes, without its end; an error instead of one of more than ``INPUT_LIMIT`` bytes.

        Of several lines that are not UTF-8, ``on_invalid`` is told the first.
        """
        untold = [on_invalid]
        number = 0
        while self.file is not None:
            with _patience(on_waiting):
                data = self.file.readline(INPUT_LIMIT + 1)
            if not data:
                return
            number += 1
            name = f"line {number} of stdin"
            try:
                yield strip_line_end(decode(_limited(data, name), name, lambda text: untold and untold.pop()(text)))
            except ContextError as error:
                self._skip_line(data)
                yield error

    def _skip_line(self, data: bytes) -> None:
        """Read on to the end of the line that begins with ``data``, a bounded piece at a time."""
        while self.file is not None and data and not data.endswith(b"\n"):
            data = self.file.readline(INPUT_LIMIT)


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
        raise UsageError(f"{path} cannot be read: {reason}.") from None
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

    def __init__(self, on_waiting: Callable[[], None]) -> None:
        self._timer = threading.Timer(SAY_WAITING_AFTER, on_waiting)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
