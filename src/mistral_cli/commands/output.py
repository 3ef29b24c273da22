"""Where an answer goes: to stdout as it comes, or into a file that is whole or not there. Knows no model."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from mistral_cli.errors import UsageError
from mistral_cli.ui.console import Console

STDOUT: Final = ("-", "/dev/stdout", "/dev/fd/1")
"""Names of stdout. It may itself be a file, which somebody else opened and which is not to be replaced."""


class Target(Protocol):
    """Takes the text of an answer piece by piece."""

    def write(self, text: str) -> None:
        """Write the next piece."""
        ...

    def mark_partial(self) -> None:
        """Say that the answer was cut short, though no error follows."""
        ...


class Screen:
    """stdout: a terminal or a pipe."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        """Write the next piece; it is on the screen when this returns."""
        self._console.answer(text)

    def mark_partial(self) -> None:
        """Change nothing: what is on the screen stays there."""


class NewFile:
    """A file that is written beside its place and renamed at the end, or to ``FILE.partial`` where the end was cut."""

    def __init__(self, path: Path, *, private: bool = False) -> None:
        self._path = path.resolve()  # through a link, so that the link stays
        descriptor, name = tempfile.mkstemp(prefix=f".{self._path.name[:100]}.", dir=self._path.parent)
        self._beside = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        if not private:  # which it is from the moment it exists
            self._beside.chmod(_mode_of(self._path))
        self._is_partial = False

    def write(self, text: str) -> None:
        """Write the next piece; a process that is killed has lost nothing of it."""
        self._file.write(text.encode("utf-8", "backslashreplace"))
        self._file.flush()

    def mark_partial(self) -> None:
        """Leave ``FILE`` as it was in the end, and make a ``FILE.partial``."""
        self._is_partial = True

    def commit(self) -> Path | None:
        """Put the file in its place; return the other place that it went to, if it did."""
        if self._is_partial:
            return self.keep_partial()
        self._close_into(self._path)
        return None

    def keep_partial(self) -> Path | None:
        """Keep what there is as ``FILE.partial``; None where there is nothing to keep."""
        if self._file.tell() == 0:
            self._file.close()
            self._beside.unlink()
            return None
        partial = self._path.with_name(self._path.name + ".partial")
        self._close_into(partial)
        return partial

    def _close_into(self, path: Path) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._beside.replace(path)


class Device:
    """Something that is no regular file (a FIFO, ``/dev/null``): written to as it is, never replaced."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    def write(self, text: str) -> None:
        """Write the next piece at once."""
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        while data:
            data = data[self._file.write(data) or 0 :]

    def mark_partial(self) -> None:
        """Change nothing: what was written is gone."""

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


@contextlib.contextmanager
def open_target(path: str | None, console: Console, *, private: bool = False) -> Iterator[Target]:
    """Open ``--output``'s file, or stdout where there is none or that is its name; settle it when the block ends.

    A block that ends by an exception (or Ctrl-C) leaves ``FILE.partial`` and the file as it was.

    Args:
        path: as it was typed.
        console: what stdout is reached through.
        private: only its owner may read the file (0600), whatever the umask says.

    Raises:
        UsageError: there can be no file of that name.
    """
    if path is None or path in STDOUT:
        yield Screen(console)
        return
    try:
        target = Device(Path(path)) if _is_device(Path(path)) else NewFile(Path(path), private=private)
    except OSError as error:
        raise UsageError(f"--output: {path} cannot be written: {error.strerror}.") from None
    with _settled(target, console):
        yield target


@contextlib.contextmanager
def _settled(target: NewFile | Device, console: Console) -> Iterator[None]:
    if isinstance(target, Device):
        with contextlib.closing(target):
            yield
        return
    partial = None
    try:
        try:
            yield
        except BaseException:
            partial = target.keep_partial()
            raise
        partial = target.commit()
    finally:
        if partial is not None:
            console.notice(f"What there was of the answer is in {partial}")


def _is_device(path: Path) -> bool:
    if path.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    return path.is_relative_to("/dev") or (path.exists() and not path.is_file())


def _mode_of(path: Path) -> int:
    """Return the mode of the file to be replaced, or what the user's umask gives a new one."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
