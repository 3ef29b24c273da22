"""Two texts beside each other, or one below the other where the terminal is narrow. Knows no model."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from mistral_cli.ui.wrap import cells, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

_NARROW = 60
"""Columns below which two texts have no room beside each other."""
_WIDEST = 100
_BETWEEN = " │ "


def side_by_side(titles: tuple[str, str], texts: tuple[str, str], columns: int) -> list[str]:
    """Return the lines of two texts, each under its title.

    Args:
        titles: of the left and the right one.
        texts: safe to print.
        columns: cells of the terminal's line.
    """
    if columns < _NARROW:
        return [line for title, text in zip(titles, texts, strict=True) for line in _below(title, text, columns)]
    width = (min(columns, _WIDEST) - len(_BETWEEN)) // 2
    left, right = (_lines(text, width) for text in texts)
    rows = [titles, ("─" * width, "─" * width), *itertools.zip_longest(left, right, fillvalue="")]
    return [f"{_filled(one, width)}{_BETWEEN}{other}".rstrip() for one, other in rows]


def _below(title: str, text: str, columns: int) -> Sequence[str]:
    return [f"{title}:", *(f"  {line}" for line in _lines(text, max(columns - 3, 1)))]


def _lines(text: str, width: int) -> list[str]:
    return [part for line in text.split("\n") for part in wrapped(line, width).split("\n")]


def _filled(text: str, width: int) -> str:
    return text + " " * (width - cells(text))
