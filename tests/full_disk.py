"""A disk without room, for this process: no file grows beyond a size.

While it is full, Python keeps no compiled module: up to 3.13 it writes one without looking how much of it went through,
and a module that was cut off can never again be imported from this checkout.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def room_for_files() -> Iterator[Callable[[int], None]]:
    """Give a function that says how large a file may be, in bytes, until the end of the block or the next call."""
    limits, keeps_none = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode

    def allow(most: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))

    sys.dont_write_bytecode = True
    try:
        yield allow
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        sys.dont_write_bytecode = keeps_none
