"""Files on their way: written under a name of their own, locked meanwhile, removed unless they were renamed. No torch.

One whose lock is free was left behind by a process that was killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".partial"


@contextlib.contextmanager
def half_written(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield a new, locked file for the user alone; it is removed unless it was renamed.

    Raises:
        OSError: it cannot be made, or locked.
    """
    descriptor, name = tempfile.mkstemp(suffix=SUFFIX, prefix=".", dir=folder)
    path = Path(name)
    try:
        lock(descriptor)
        yield descriptor, path
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def set_aside(descriptor: int, nbytes: int) -> None:
    """Take the room on the disk, so that a full one is found out before the work is done, not after.

    Raises:
        OSError: there is no room.
    """
    if not hasattr(os, "posix_fallocate"):  # not on macOS: there writing finds out
        return
    try:
        os.posix_fallocate(descriptor, 0, nbytes)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # not on every file system
            raise


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those around it that do not exist, for the user alone.

    Raises:
        OSError: one cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring a new name in a folder to the disk, on file systems that can."""
    with contextlib.suppress(OSError):  # the file is there all the same
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_left(path: Path) -> int:
    """Remove a half-written file that nobody writes; return its bytes.

    Raises:
        OSError: somebody writes it, or it cannot be removed.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        nbytes = os.fstat(descriptor).st_size
        if nbytes:  # an empty one is only about to be locked
            lock(descriptor)
            path.unlink()
    finally:
        os.close(descriptor)
    return nbytes


def lock(descriptor: int) -> None:
    """Say that this file or folder has a living writer, as long as this process lives.

    Raises:
        OSError: another process says so.
    """
    try:
        import fcntl  # noqa: PLC0415 (POSIX only)
    except ImportError:
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
