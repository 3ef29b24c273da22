"""Input history in one file of ours: a JSON string a line, private, whole, safe with several writers at once."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from prompt_toolkit.history import History

from mistral_cli.settings.places import open_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


class PrivateHistory(History):
    """What was typed before, for the arrow keys.

    Args:
        path: the file; made for the user alone when the first entry comes.
        on_failure: called once with the reason where nothing can be kept; the chat goes on.
    """

    def __init__(self, path: Path, on_failure: Callable[[str], None]) -> None:
        super().__init__()
        self._path = path
        self._on_failure: Callable[[str], None] | None = on_failure

    def load_history_strings(self) -> Iterable[str]:
        """Return every entry, the newest first. A line that is none (a torn write, another program's) is skipped."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except OSError:
            return []
        return [entry for line in reversed(lines) if (entry := _read_entry(line)) is not None]

    def store_string(self, string: str) -> None:
        """Append one entry."""
        try:
            self._append(json.dumps(string).encode() + b"\n")
        except OSError as error:
            if self._on_failure is not None:
                self._on_failure(f"The input history cannot be kept: {error.strerror} ({self._path}).")
            self._on_failure = None

    def _append(self, line: bytes) -> None:
        descriptor = open_private(self._path, os.O_RDWR | os.O_APPEND)
        with os.fdopen(descriptor, "rb+", buffering=0) as file:
            _lock(descriptor)
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # the last writer died in the middle
            file.write(line)


def _read_entry(line: bytes) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, str) else None


def _lock(descriptor: int) -> None:
    """Wait until no other process writes; the lock goes with the descriptor."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)
