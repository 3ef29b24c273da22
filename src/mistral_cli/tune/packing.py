"""Which samples share a sequence. Knows lengths and nothing else: no ids, no tensors, no order but the one it is given.

First fit: each sample goes into the first sequence that has room for it (Johnson, "Near-optimal bin packing
algorithms", 1973: at most 1.7 times the fewest sequences there could be). The same lengths give the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """A plan: for each sequence the places of its samples in what was given, in that order."""

    sequences: tuple[tuple[int, ...], ...]
    filled: float
    """Part of all places in the sequences that samples take; 0 where there are none."""


def pack(lengths: Sequence[int], length: int) -> Packing:
    """Put samples of ``lengths`` ids into sequences of at most ``length``.

    Takes time in proportion to n log n: a data set has hundreds of thousands of samples.

    Raises:
        ValueError: a sample is longer than a sequence, or empty.
    """
    if any(not 0 < size <= length for size in lengths):
        raise ValueError(f"samples must hold 1 to {length} ids")
    room = _Room(len(lengths), length)
    sequences: list[list[int]] = []
    for at, size in enumerate(lengths):
        place = room.take_first(size)
        if place == len(sequences):
            sequences.append([])
        sequences[place].append(at)
    filled = sum(lengths) / (length * len(sequences)) if sequences else 0.0
    return Packing(sequences=tuple(map(tuple, sequences)), filled=filled)


class _Room:
    """What is left in each of ``count`` sequences: a tree of which a node holds the most that is left below it."""

    def __init__(self, count: int, length: int) -> None:
        self._leaves = 1 << max(count - 1, 0).bit_length()
        self._most = [length] * (2 * self._leaves)  # the root is at 1; the children of n at 2n and 2n + 1

    def take_first(self, size: int) -> int:
        """Take ``size`` from the first sequence that has it; return which that is. As many as samples are enough."""
        at = 1
        while at < self._leaves:
            at = 2 * at if self._most[2 * at] >= size else 2 * at + 1
        place = at - self._leaves
        self._most[at] -= size
        while at > 1:
            at //= 2
            self._most[at] = max(self._most[2 * at], self._most[2 * at + 1])
        return place
