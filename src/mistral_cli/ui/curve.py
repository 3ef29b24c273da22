"""A row of numbers as a picture of characters: height above the lowest, blocks of eighths. Knows no terminal."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCKS = " ▁▂▃▄▅▆▇█"
_EIGHTHS = 8
_WIDEST, _LEAST = 60, 8


def curve(values: Sequence[float], *, columns: int, rows: int = 8) -> list[str]:
    """Return the lines of a picture with its scale at the left and the first and last number's place below.

    Args:
        values: finite; where there are more than columns, a column is the mean of those that fall into it.
        columns: cells of a line; where those are too few for a picture there is none.
        rows: lines of the picture.
    """
    low, high = min(values), max(values)
    scale = _scale(low, high, rows)
    margin = max(map(len, scale))
    width = min(columns - margin - 3, _WIDEST, max(len(values), 2))
    if columns - margin - 3 < _LEAST:
        return []
    heights = [_height(value, low, high, rows) for value in _means(values, width)]
    lines = [
        f"{label:>{margin}} ┤{''.join(_block(height, row) for height in heights)}".rstrip()
        for label, row in zip(scale, reversed(range(rows)), strict=True)
    ]
    first, last = "1", f"{len(values):,}"
    axis = f"{' ' * margin} └{'─' * len(heights)}"
    return [*lines, axis, f"{' ' * (margin + 2)}{first}{last:>{max(len(heights) - len(first), len(last) + 1)}}"]


def _scale(low: float, high: float, rows: int) -> list[str]:
    """Return a label for each line, empty but at the top, in the middle and at the bottom."""
    labels = [""] * rows
    labels[0], labels[-1] = f"{high:.3g}", f"{low:.3g}"
    if rows >= 5:
        labels[rows // 2] = f"{low + (high - low) * (rows - rows // 2 - 0.5) / rows:.3g}"
    return labels


def _means(values: Sequence[float], width: int) -> list[float]:
    edges = [round(column * len(values) / width) for column in range(width + 1)]
    parts = (values[begin : max(end, begin + 1)] for begin, end in itertools.pairwise(edges))
    return [sum(part) / len(part) for part in parts if part]


def _height(value: float, low: float, high: float, rows: int) -> int:
    """Return eighths of a line, one at least: the lowest is seen, too."""
    share = (value - low) / (high - low) if high > low else 0.0
    return max(round(share * rows * _EIGHTHS), 1)


def _block(height: int, row: int) -> str:
    return _BLOCKS[min(max(height - row * _EIGHTHS, 0), _EIGHTHS)]
