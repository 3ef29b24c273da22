"""A table that grows row by row: drawn whole while it fits, and row by row once its widths are settled.

Knows no terminal.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from mistral_cli.ui.markdown.inline import render

if TYPE_CHECKING:
    from rich.text import Text

_DELIMITER = re.compile(r"\s*\|?(\s*:?-+:?\s*\|)*\s*:?-+:?\s*\|?\s*")
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
        self._widths: list[int] | None = None

    def add(self, line: str) -> None:
        """Take the next row; missing cells are empty, those too many are dropped (GFM, section 4.10)."""
        cells = [render(cell) for cell in split_row(line)[: len(self._header)]]
        self._rows.append(cells + [render("")] * (len(self._header) - len(cells)))

    def lines(self, width: int) -> list[Text]:
        """Return what is to be shown of the rows that are not settled, the header above them if nothing is settled."""
        return self._draw(self._rows, width) if self._rows or self._widths is None else []

    def settle(self, width: int) -> list[Text]:
        """Return the same lines for good, over the whole width: later rows stand alone, in equal columns."""
        is_first = self._widths is None
        lines = self._draw(self._rows, width, expand=is_first) if self._rows or is_first else []
        if is_first:
            rule = next(line.plain for line in lines if not line.plain.strip("─┼ "))
            self._widths = [len(part) - 2 for part in rule.strip().split("┼")]
        self._rows = []
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
