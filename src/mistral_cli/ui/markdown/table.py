"""A table that grows row by row: drawn whole while it fits, and row by row once its widths are settled.

Where the columns would be narrower than their words, each row is a paragraph instead. Knows no terminal.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from mistral_cli.ui.markdown.inline import render
from mistral_cli.ui.wrap import breaks, cells, pieces

if TYPE_CHECKING:
    from rich.text import Text

_DELIMITER = re.compile(r"\s*\|?(\s*:?-+:?\s*\|)*\s*:?-+:?\s*\|?\s*")
_LONG_WORD = 10
"""Cells of a word that may be broken rather than give up the columns."""
_CELL = re.compile(r"(?:\\.|`[^`]*`|[^|\\])+|(?<=\|)(?=\|)", re.DOTALL)


def is_delimiter(line: str) -> bool:
    """Tell whether a line is the second of a table: ``|---|:-:|``."""
    return "-" in line and "|" in line and _DELIMITER.fullmatch(line) is not None


def split_row(line: str) -> list[str]:
    """Return the cells of a row, a pipe after a backslash or in code left in its cell."""
    bare = line.strip().removeprefix("|")
    bare = bare[:-1] if bare.endswith("|") and not bare.endswith("\\|") else bare
    return [cell.strip().replace("\\|", "|") for cell in _CELL.findall(bare)] if bare else [""]


class Table:
    """The rows of one table.

    Args:
        header: the first line.
        delimiter: the second, with the columns' alignments.
    """

    def __init__(self, header: str, delimiter: str) -> None:
        names = split_row(header)
        marks = [mark.strip() for mark in delimiter.strip().strip("|").split("|")]
        self._alignments = [_alignment(marks[number] if number < len(marks) else "") for number in range(len(names))]
        self._header = [render(name) for name in names]
        self._rows: list[list[Text]] = []
        self._words = [0] * len(names)
        """Cells of the longest word of each column."""
        self._measure(self._header)
        self._widths: list[int] | None = None
        self._shown: list[Text] = []
        self._shown_for: tuple[int, int] | None = None
        """Of how many rows and which width."""
        self._is_stacked = False
        """Whether rows that are settled stand as paragraphs: then so do all others."""

    def add(self, line: str) -> None:
        """Take the next row; missing cells are empty, those too many are dropped (GFM, section 4.10)."""
        row = [render(cell) for cell in split_row(line)[: len(self._header)]]
        self._measure(row)
        self._rows.append(row + [render("")] * (len(self._header) - len(row)))

    def stacks(self, width: int) -> bool:
        """Tell whether rows stand as paragraphs: no row that may follow changes that."""
        least = sum(self._words) + 3 * len(self._words) - 1
        return self._is_stacked or (self._widths is None and len(self._words) > 1 and least > width)

    def lines(self, width: int) -> list[Text]:
        """Return what is to be shown of the rows that are not settled, the header above them if nothing is settled."""
        if self._shown_for != (len(self._rows), width):  # while a row is being written, those above it stay
            self._shown_for = len(self._rows), width
            self._shown = self._lines(width)
        return self._shown

    def _lines(self, width: int) -> list[Text]:
        if self.stacks(width):
            return self._stack(width)
        return self._draw(self._rows, width) if self._rows or self._widths is None else []

    def settle(self, width: int) -> list[Text]:
        """Return the same lines for good, over the whole width: later rows stand alone, in equal columns."""
        self._shown_for = None
        if self.stacks(width):
            lines = self._stack(width) if self._rows else []
            self._is_stacked, self._rows = self._is_stacked or bool(lines), []
            return lines
        is_first = self._widths is None
        lines = self._draw(self._rows, width, expand=is_first) if self._rows or is_first else []
        if is_first:
            rule = next(line.plain for line in lines if not line.plain.strip("─┼ "))
            self._widths = [len(part) - 2 for part in rule.strip().split("┼")]
        self._rows = []
        return lines

    def _measure(self, row: list[Text]) -> None:
        for number, cell in enumerate(row):
            longest = max(map(cells, pieces(cell.plain)), default=0)
            self._words[number] = max(self._words[number], min(longest, _LONG_WORD))

    def _stack(self, width: int) -> list[Text]:
        """Return each row as a paragraph, a line (or more) a cell, a blank line between two of them."""
        from rich.text import Text

        lines: list[Text] = []
        names_alone = [] if self._is_stacked else [[Text("")] * len(self._header)]
        for row in self._rows or names_alone:
            lines += [Text("")] if lines or self._is_stacked else []
            for name, cell in zip(self._header, row, strict=True):
                whole = Text.assemble((name.plain, "bold"), ": ", cell)
                first, *more = whole.divide(breaks(whole.plain, max(width - 2, 1)))
                lines += [first, *(Text("  ") + line for line in more)]
        return lines

    def _draw(self, rows: list[list[Text]], width: int, *, expand: bool = False) -> list[Text]:
        from rich import box
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        settled = self._widths if self._widths and sum(self._widths) + 3 * len(self._widths) - 1 <= width else None
        table = RichTable(box=box.Box(_BOX), show_edge=False, show_header=self._widths is None, expand=expand)
        for number, name in enumerate(self._header):
            options: Any = {"width": settled[number]} if settled and number < len(settled) else {}
            table.add_column(name, justify=self._alignments[number], overflow="fold", header_style="bold", **options)
        for row in rows:
            table.add_row(*row)
        console = Console(width=max(width, 3 * len(self._header)), color_system=None, legacy_windows=False)
        drawn = console.render_lines(table, pad=False)
        return [Text.assemble(*((part.text, part.style or "") for part in line)) for line in drawn]


_BOX = "    \n  │ \n ─┼ \n  │ \n ─┼ \n ─┼ \n  │ \n    \n"


def _alignment(mark: str) -> Literal["left", "center", "right"]:
    if mark.endswith(":"):
        return "center" if mark.startswith(":") else "right"
    return "left"
