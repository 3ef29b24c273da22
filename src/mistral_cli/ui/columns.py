"""Rows of cells as lines: in columns where they fit, else each row as a paragraph. Knows no terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from mistral_cli.ui.wrap import cells, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GAP, _INDENT = "  ", "    "


def in_columns(rows: Sequence[Sequence[str]], columns: int | None) -> Iterator[str]:
    """Yield the lines of rows that have as many cells each.

    Args:
        rows: a column whose cells are all empty takes no room.
        columns: cells of a terminal's line; where a row is wider, its first cell stands alone, and the others, indented
            and wrapped, below it. None: a pipe, where every line is as wide as it must be.
    """
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    lines = [_GAP.join(_filled(row, widths)).rstrip() for row in rows]
    if columns is None or max(map(cells, lines), default=0) < columns:
        yield from lines
        return
    for first, *others in rows:
        yield wrapped(first, columns - 1)
        text = " · ".join(cell for cell in others if cell)
        if text:
            yield _INDENT + wrapped(text, columns - len(_INDENT) - 1).replace("\n", f"\n{_INDENT}")


def _filled(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for cell, width in zip(row, widths, strict=True):
        if width:
            yield cell + " " * (width - cells(cell))


def labelled(rows: Sequence[tuple[str, str]], columns: int | None) -> Iterator[str]:
    """Yield the lines of labels and their texts; words that ``columns`` are too few for go on under the text.

    Args:
        rows: label and text of each; a text without a space, as a path, stays whole, so that it can be copied.
        columns: cells of a terminal's line; None: a pipe, where every line is as wide as it must be.
    """
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        line = f"{label:{width}}  {text}".rstrip()
        if columns is None or columns < 2 * width or len(line) <= columns or " " not in text:
            yield line
        else:
            yield from textwrap.wrap(line, columns, subsequent_indent=" " * (width + 2), break_on_hyphens=False)
