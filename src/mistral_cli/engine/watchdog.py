"""Whether an answer goes round in circles: ids in, a verdict out. Knows no text, no model and no clock."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST: Final = 64
"""Ids that a period may have."""
REPEATS: Final = 8
"""Times that it stands there one after the other, at least."""
LEAST: Final = 200
"""Ids that all of them make together, at least."""


class Watchdog:
    """Watches one answer. Each id costs one look at each of the ``LONGEST`` before it, whatever came before those.

    Args:
        counts: told the ids of a period that has come round often enough, once; False where a repetition of these is
            none to stop at (a ruler, a row of zeros).
    """

    def __init__(self, counts: Callable[[Sequence[int]], bool]) -> None:
        self._counts = counts
        self._last: deque[int] = deque(maxlen=LONGEST)
        self._runs: dict[int, int] = {}
        """Period -> how many of the last ids were each the same as the one a period before it."""

    def push(self, token: int) -> bool:
        """Take the next id; tell whether the answer repeats itself now."""
        periods = (period for period, earlier in enumerate(reversed(self._last), start=1) if earlier == token)
        self._runs = {period: self._runs.get(period, 0) + 1 for period in periods}
        self._last.append(token)
        return any(run + period == _enough(period) and self._is_loop(period) for period, run in self._runs.items())

    def _is_loop(self, period: int) -> bool:
        ids = tuple(self._last)
        return self._counts(ids[len(ids) - period :])


def _enough(period: int) -> int:
    """Return of how many ids a stretch must be."""
    return max(LEAST, REPEATS * period)
