"""Repeated measurements of one thing: their median and their range. Measures nothing."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """What several measurements gave, at least one, in the order they were taken."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one, or between the two in the middle."""
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        """The smallest."""
        return min(self.values)

    @property
    def most(self) -> float:
        """The largest."""
        return max(self.values)

    def per(self, amount: float) -> Figure:
        """Return ``amount`` divided by each: seconds become a speed."""
        return Figure(tuple(amount / value for value in self.values))

    def as_json(self) -> dict[str, object]:
        """Return median, range and every value, six digits of each."""
        numbers = {"median": self.median, "min": self.least, "max": self.most}
        return {**{name: _short(value) for name, value in numbers.items()}, "values": [*map(_short, self.values)]}


def _short(value: float) -> float:
    return float(f"{value:.6g}")
