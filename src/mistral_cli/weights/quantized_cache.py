"""The quantized copies of checkpoints on this disk: found, written, listed, removed. Knows no torch.

A copy is one file, named after its model, scheme, device and identity. It is written under a name of its own, synced
and renamed, so that a file with the right name is whole; of two processes that make the same copy at once the later
one's takes the place of the other's, which stays mapped where it is in use. What a killed process left half written
the next one to write removes.
When a copy was last used is the file's time of modification: the bytes never change.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mistral_cli.errors import CheckpointError, MistralError
from mistral_cli.weights.half_written import SUFFIX as PARTIAL
from mistral_cli.weights.half_written import half_written, make_folder, remove_left, set_aside, sync_folder
from mistral_cli.weights.quantized_file import FileStamp, Stored, Writer, header_bytes, read_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mistral_cli.weights.quantized_file import Identity

FOLDER = "quantized"
"""What the folder of the copies is called where caches live."""

SUFFIX = ".safetensors"


class NotKeptError(MistralError):
    """A quantized copy could not be written. The model runs without it, so this is only ever a warning."""


def _say_nothing(_text: str) -> None:
    """Take a notice or a warning for somebody who does not want to hear it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A copy in the cache, whatever state it is in."""

    path: Path
    nbytes: int
    last_used: float
    """Seconds since 1970."""
    stored: Stored | None
    """None where it is damaged."""
    problem: str
    """Why it will not be used; empty where it will."""

    @property
    def name(self) -> str:
        """What it is called where one is to be removed."""
        return self.path.name.removesuffix(SUFFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedCache:
    """A folder of quantized copies."""

    folder: Path
    """Need not exist."""
    limit: int | None = None
    """Bytes that the copies may take together; those used least recently go when a new one needs the room."""
    notice: Callable[[str], None] = _say_nothing
    warn: Callable[[str], None] = _say_nothing
    """Both are told one line for a person."""

    # -- reading -----------------------------------------------------------------------------------------------------

    def find(self, model: str, identity: Identity) -> Stored | None:
        """Return the copy of this identity; None where there is none, or only a damaged one, which is said."""
        path = self._path(model, identity)
        try:
            if not path.exists():
                return None
            stored = read_stored(path)
        except OSError:  # a folder that cannot be looked into
            return None
        except CheckpointError as error:
            self.notice(f"{error.message} The copy is made again.")
            return None
        if stored.identity != identity:  # the same twelve digits for something else
            return None
        with contextlib.suppress(OSError):  # a home that cannot be written to
            os.utime(path)
        return stored

    def entries(self) -> list[Entry]:
        """Return every copy, the one used last first."""
        found = [_entry(path) for path in self._files(SUFFIX)]
        return sorted((entry for entry in found if entry), key=lambda entry: -entry.last_used)

    def _path(self, model: str, identity: Identity) -> Path:
        label = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(model).name).strip(".-")[:60] or "model"
        return self.folder / f"{label}-{identity.scheme}-{identity.device}-{identity.key}{SUFFIX}"

    def _files(self, suffix: str) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if path.name.endswith(suffix))
        except OSError:
            return []

    # -- writing -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self, model: str, identity: Identity, *, tensors: int, nbytes: int) -> Iterator[Writer]:
        """Yield what writes the copy; it is there when the block ends, and nothing is where the block is left early.

        Args:
            model: what people call it.
            identity: what it is made of and for.
            tensors: how many the model has.
            nbytes: what they will take: so much is set aside on the disk before the first is written.

        Raises:
            NotKeptError: there is no room, or it cannot be written for another reason.
        """
        header, path = header_bytes(tensors), self._path(model, identity)
        guard = partial(self._keeping, model)
        with guard():
            self._prepare(header + nbytes)
        with contextlib.ExitStack() as stack:
            with guard():
                descriptor, temporary = stack.enter_context(half_written(self.folder))
                set_aside(descriptor, header + nbytes)
                writer = Writer(descriptor=descriptor, header=header, guard=guard)
            yield writer  # what goes wrong here is not the copy's fault, but for what the writer does
            with guard():
                writer.finish(model, identity)
                temporary.rename(path)
        sync_folder(self.folder)
        self._make_room(path)

    @contextlib.contextmanager
    def _keeping(self, model: str) -> Iterator[None]:
        """Turn what goes wrong on the disk into a ``NotKeptError``."""
        try:
            yield
        except OSError as error:
            message = f"The quantized weights of {model} cannot be kept in {self.folder}: {error.strerror or error}."
            raise NotKeptError(message, "They are made anew at every start.") from error

    def _prepare(self, nbytes: int) -> None:
        """Make the folder, sweep it, and see whether a copy of so many bytes may be."""
        make_folder(self.folder)
        self.sweep()
        if self.limit is not None and nbytes > self.limit:
            raise OSError(errno.ENOSPC, f"{nbytes:,} bytes are more than cache_limit allows ({self.limit:,})")

    # -- removing ----------------------------------------------------------------------------------------------------

    def remove(self, entry: Entry) -> None:
        """Remove a copy. Who has it mapped keeps it until the process ends.

        Raises:
            OSError: it cannot be removed.
        """
        entry.path.unlink(missing_ok=True)

    def _make_room(self, new: Path) -> None:
        """Remove what was used least recently until the limit is kept; each is said. The copy ``new`` stays.

        It is called once that one is whole: until then those before it are worth more.
        """
        if self.limit is None:
            return
        entries = self.entries()
        total = sum(entry.nbytes for entry in entries)
        for oldest in reversed([entry for entry in entries if entry.path != new]):
            if total <= self.limit:
                return
            with contextlib.suppress(OSError):  # there is more than the limit then; the next copy tries again
                self.remove(oldest)
                total -= oldest.nbytes
                self.notice(f"Removed the quantized copy {oldest.name}, used least recently: cache_limit is reached.")

    def sweep(self) -> int:
        """Remove what killed processes left half written; return its bytes. What is being written stays."""
        freed = 0
        for path in self._files(PARTIAL):
            with contextlib.suppress(OSError):
                freed += remove_left(path)
        return freed


def _entry(path: Path) -> Entry | None:
    try:
        status = path.stat()
    except OSError:  # removed meanwhile
        return None
    stored, problem = None, ""
    try:
        stored = read_stored(path)
        problem = _outdated(stored)
    except CheckpointError as error:
        problem = f"damaged: {error.message}"
    return Entry(path=path, nbytes=status.st_size, last_used=status.st_mtime, stored=stored, problem=problem)


def _outdated(stored: Stored) -> str:
    """Say why a copy is of no use any more; empty where the checkpoint is as it was."""
    for stamp in stored.identity.files:
        try:
            now = FileStamp.of(Path(stamp.path))
        except OSError:
            return f"the checkpoint is gone: {stamp.path}"
        if now != stamp:
            return f"the checkpoint has changed since: {stamp.path}"
    return ""


def model_name(folder: Path) -> str:
    """Return what people call the model in ``folder``: its hub id where it lies in the hub's cache, else its path."""
    real = folder.absolute()
    if real.parent.name == "snapshots" and real.parents[1].name.startswith("models--"):
        return real.parents[1].name.removeprefix("models--").replace("--", "/", 1)
    return str(real)
