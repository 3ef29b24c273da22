"""Whether the files of a cached model hold what they should: every byte is read and hashed. Knows no terminal.

The hub names a large file by its SHA-256 (git-LFS) and a small one by the hash that git gives it, and the cache calls
contents by these names. So a file can be checked without the network, against what its own name says.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mistral_cli.errors import CheckpointError
from mistral_cli.weights import hub_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from mistral_cli.weights.hub_plan import RemoteFile

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """One file of a snapshot: what it should be and, once it was read, what is wrong with it."""

    name: str
    path: Path
    """Its place in the snapshot."""
    etag: str
    """The hash of what it should hold; empty where nobody knows."""
    expected: int | None
    """The bytes it should have; None where nobody knows."""
    problem: str = ""
    """Empty where it is as it should be, or cannot be told."""


def planned_checks(snapshot: Path, listed: Iterable[RemoteFile]) -> list[FileCheck]:
    """Return what every file of a snapshot should be.

    Args:
        snapshot: where the model lies.
        listed: what the hub has; empty where it cannot be asked.
    """
    at_hub = {file.name: file for file in listed}
    paths = [path for path in sorted(snapshot.rglob("*")) if path.is_symlink() or path.is_file()]
    named = [(path.relative_to(snapshot).as_posix(), path) for path in paths]
    return [_planned(name, path, at_hub.get(name)) for name, path in named]


def _planned(name: str, path: Path, remote: RemoteFile | None) -> FileCheck:
    if remote is not None and remote.etag:
        return FileCheck(name=name, path=path, etag=remote.etag, expected=remote.size)
    own = path.readlink().name if path.is_symlink() else ""
    return FileCheck(name=name, path=path, etag=own if _HASH.fullmatch(own) else "", expected=None)


def run_checks(checks: Sequence[FileCheck], progress: Callable[[int, int], None]) -> list[FileCheck]:
    """Read every file; return the checks with what is wrong.

    Args:
        checks: see ``planned_checks``.
        progress: called with the bytes read and the bytes of all.

    Raises:
        OSError: a file cannot be read: the disk is failing, or the rights are missing.
    """
    sizes = [check.path.stat().st_size if check.path.is_file() else 0 for check in checks]
    done, total, found = 0, sum(sizes), []
    for check, nbytes in zip(checks, sizes, strict=True):
        before = done

        def report(read: int, before: int = before) -> None:
            progress(before + read, total)

        found.append(replace(check, problem=_problem(check, nbytes, report)))
        done += nbytes
    return found


def _problem(check: FileCheck, nbytes: int, report: Callable[[int], None]) -> str:
    if not check.path.is_file():
        return "a link to nothing"
    if check.expected is not None and nbytes != check.expected:
        return f"{nbytes:,} bytes, but should have {check.expected:,}"
    if check.etag and _digest(check.path, check.etag, nbytes, report) != check.etag:
        return "its content is not what it was when it came"
    return ""


def _digest(path: Path, etag: str, nbytes: int, report: Callable[[int], None]) -> str:
    """Return the hash of a file, of the kind that ``etag`` is."""
    is_large = len(etag) == 64
    digest = hashlib.sha256() if is_large else hashlib.sha1(f"blob {nbytes}\0".encode(), usedforsecurity=False)
    buffer, read = memoryview(bytearray(_CHUNK)), 0
    with os.fdopen(_open(path), "rb", buffering=0) as content:
        while count := content.readinto(buffer):
            digest.update(buffer[:count])
            read += count
            report(read)
    return digest.hexdigest()


def _open(path: Path) -> int:
    """Open a file to read it; where that can be, without leaving a trace in the time at which it was last used."""
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_NOATIME", 0))
    except PermissionError:  # only the owner may ask for that
        return os.open(path, os.O_RDONLY)


def discard(repo_id: str, checks: Iterable[FileCheck]) -> None:
    """Remove damaged files from the cache, so that they are fetched again. Who has one mapped keeps it.

    Nothing outside the repository's own folder is touched: a link that leads elsewhere goes, what it leads to stays.

    Raises:
        CheckpointError: the files themselves lie elsewhere.
    """
    repo = hub_cache.repo_folder(repo_id).resolve()
    blobs = repo / "blobs"
    for check in checks:
        if not check.path.parent.resolve().is_relative_to(repo):
            message = f"{check.path} lies outside the hub's cache, in {check.path.parent.resolve()}."
            raise CheckpointError(message, "Remove it yourself, then pull the model again.")
        content = check.path.resolve()
        check.path.unlink(missing_ok=True)
        if content.parent == blobs:
            content.unlink(missing_ok=True)
