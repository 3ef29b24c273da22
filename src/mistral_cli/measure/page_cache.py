"""Which files are in the system's page cache, and how they are put out of it, without any rights. Knows no model.

``posix_fadvise(DONTNEED)`` drops what is clean and mapped by nobody; how much stayed is counted with ``mincore``, so
that a cold start is called cold only where it was.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def can_drop() -> bool:
    """Tell whether this system lets a program drop files from the cache."""
    return sys.platform == "linux"


def drop_cached(files: Iterable[Path]) -> float:
    """Put ``files`` out of the page cache; return the share of their bytes, 0 to 1, that stayed in it."""
    paths = list(files)
    for path in paths:
        with path.open("rb") as opened:
            os.fsync(opened.fileno())  # what was not written yet cannot be dropped
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return cached_share(paths)


def cached_share(files: Iterable[Path]) -> float:
    """Return the share of the bytes of ``files``, 0 to 1, that is in the page cache; 0 where there are none."""
    pages = [_pages_in_memory(path) for path in files if path.stat().st_size]
    return sum(held for held, _ in pages) / sum(total for _, total in pages) if pages else 0.0


def _pages_in_memory(path: Path) -> tuple[int, int]:
    """Return how many pages of a file are in memory, and how many it has (``man 2 mincore``)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY) as content:
        start = ctypes.c_char.from_buffer(content)
        total = -(-len(content) // mmap.PAGESIZE)
        pages = ctypes.create_string_buffer(total)
        failed = libc.mincore(ctypes.addressof(start), len(content), pages)
        del start  # or the map could not be closed
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    return sum(byte & 1 for byte in pages.raw), total
