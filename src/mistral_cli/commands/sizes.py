"""Numbers in words."""

from __future__ import annotations


def size(nbytes: int) -> str:
    """Return a number of bytes for people, in powers of ten as disks are sold: ``14.50 GB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= factor:
            return f"{nbytes / factor:.2f} {unit}"
    return f"{nbytes} B"


def counted(number: int, thing: str) -> str:
    """Return how many of something there are: ``1 row``, ``1,200 rows``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
