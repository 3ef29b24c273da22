"""The kept caches on this disk: found, written, listed, removed, never trusted. Knows no torch and no chat.

A file is named after its model, its conversation, what computed it and its ids. It is written under a name of its own
and renamed, so of two processes the later one's takes the place of the other's. When it was last used is its time of
modification. What is damaged, foreign or another version's is removed where it is met: a cache can always be computed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mistral_cli.engine.kv_file import About, DamagedError, Kept, Writer, digest, read_kept
from mistral_cli.weights.half_written import SUFFIX as PARTIAL
from mistral_cli.weights.half_written import half_written, make_folder, remove_left, set_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FOLDER: Final = "chats"
"""What the folder of the kept caches is called where caches live."""
SUFFIX: Final = ".kv"
_DIGITS: Final = 12
_HEADER: Final = 2**16
"""Bytes set aside for what is not a number of the cache."""


def _say_nothing(_text: str) -> None:
    """Take a notice for somebody who does not want to hear it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A kept cache as the disk has it."""

    kept: Kept
    last_used: float
    """Seconds since 1970."""
    problem: str
    """Why it will not be used; empty where it may be."""

    @property
    def name(self) -> str:
        """What it is called where one is to be removed."""
        return self.kept.path.name.removesuffix(SUFFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class KVStore:
    """A folder of kept caches."""

    folder: Path
    """Need not exist."""
    limit: int
    """Bytes that they may take together; those used least recently go when a new one needs the room."""
    notice: Callable[[str], None] = _say_nothing
    """Told one line for a person."""

    # -- reading -----------------------------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """Return every sound kept cache, the one used last first; those that are not are removed."""
        found = ((kept, _last_used(kept.path)) for kept in map(self._read, self._files(SUFFIX)) if kept)
        entries = [Entry(kept=kept, last_used=used, problem=_outdated(kept.about)) for kept, used in found]
        return sorted(entries, key=lambda entry: -entry.last_used)

    def of_origin(self, origin: str) -> list[Kept]:
        """Return the caches that this very model computed, the one used last first."""
        paths = [path for path in self._files(SUFFIX) if f"-{origin[:_DIGITS]}-" in path.name]
        found = [kept for kept in map(self._read, paths) if kept and kept.about.origin == origin]
        return sorted(found, key=lambda kept: -_last_used(kept.path))

    def note_use(self, kept: Kept) -> None:
        """Remember that a cache was used now."""
        with contextlib.suppress(OSError):  # a home that cannot be written to
            os.utime(kept.path)

    def _read(self, path: Path) -> Kept | None:
        try:
            return read_kept(path)
        except OSError:  # removed meanwhile, or not ours to read
            return None
        except DamagedError as error:
            self.drop_damaged(path, error)
            return None

    def drop_damaged(self, path: Path, error: DamagedError) -> None:
        """Remove a file that is not what it should be, and say so."""
        with contextlib.suppress(OSError):
            path.unlink()
            self.notice(f"Removed {path.name}: {error}. It is no cache that could be gone on from.")

    def _files(self, suffix: str) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if path.name.endswith(suffix))
        except OSError:
            return []

    # -- writing -----------------------------------------------------------------------------------------------------

    def write(
        self,
        about: About,
        ids: Sequence[int],
        nbytes: int,
        add_parts: Callable[[Writer], None],
        check: Callable[[], None],
    ) -> Path:
        """Keep a cache in the place of what was kept of the same conversation by the same model.

        Args:
            about: what it is.
            ids: what is in it.
            nbytes: what its keys and values take: so much is set aside on the disk before the first is written.
            add_parts: writes them.
            check: called again and again; what it raises ends the writing, and nothing is left of it.

        Raises:
            OSError: there is no room, or it cannot be written for another reason.
        """
        make_folder(self.folder)
        self.sweep()
        if nbytes > self.limit:
            reason = f"{nbytes:,} bytes are more than keep_cache_limit allows ({self.limit:,})"
            raise OSError(errno.EFBIG, reason)
        path = self.folder / _name(about, ids)
        with half_written(self.folder) as (descriptor, temporary):
            set_aside(descriptor, nbytes + 4 * len(ids) + _HEADER)
            writer = Writer(descriptor=descriptor, check=check)
            writer.add_ids(ids)
            add_parts(writer)
            writer.finish(about)
            temporary.rename(path)
        self._drop_older(path, about)
        self._make_room(path)
        return path

    def _drop_older(self, new: Path, about: About) -> None:
        """Remove what was kept of the same conversation before: it goes on from where it was left last."""
        for path in self._files(SUFFIX):
            if path != new and f"-{_short(about.chat)}-{about.origin[:_DIGITS]}-" in path.name:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _make_room(self, new: Path) -> None:
        """Remove what was used least recently until the limit is kept; the cache ``new`` stays."""
        sizes = {path: _nbytes(path) for path in self._files(SUFFIX)}
        total = sum(sizes.values())
        for path in sorted(sizes.keys() - {new}, key=_last_used):
            if total <= self.limit:
                return
            with contextlib.suppress(OSError):  # there is more than the limit then; the next one tries again
                path.unlink()
                total -= sizes[path]

    # -- removing ----------------------------------------------------------------------------------------------------

    def remove(self, entry: Entry) -> None:
        """Remove a kept cache.

        Raises:
            OSError: it cannot be removed.
        """
        entry.kept.path.unlink(missing_ok=True)

    def forget(self, *chats: str) -> None:
        """Remove all that was kept of these conversations, by whatever model, sound or not.

        Raises:
            OSError: one cannot be removed.
        """
        marks = [f"-{_short(chat)}-" for chat in chats]
        for path in self._files(SUFFIX):
            if any(mark in path.name for mark in marks):
                path.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove what killed processes left half written; return its bytes. What is being written stays."""
        freed = 0
        for path in self._files(PARTIAL):
            with contextlib.suppress(OSError):
                freed += remove_left(path)
        return freed


def _short(text: str) -> str:
    return digest(text)[:_DIGITS]


def _name(about: About, ids: Sequence[int]) -> str:
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(about.model).name).strip(".-")[:60] or "model"
    prefix = hashlib.sha256(b"".join(token.to_bytes(4, "little") for token in ids)).hexdigest()
    return f"{label}-{_short(about.chat)}-{about.origin[:_DIGITS]}-{prefix[:_DIGITS]}{SUFFIX}"


def _last_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # removed meanwhile
        return 0.0


def _nbytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _outdated(about: About) -> str:
    gone = [file for file in about.files if not Path(file).exists()]
    return f"the model is gone: {gone[0]}" if gone else ""
