"""Tables on stderr: drawn by Rich on a terminal, columns of plain text anywhere else. Knows no figures."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from mistral_cli.text.sanitize import sanitize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mistral_cli.ui.console import Console, Stream


def show_table(console: Console, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table to stderr; the first column stands at the left, numbers (all others) at the right."""
    cells = [[sanitize(cell) for cell in row] for row in (header, *rows)]
    console.laid_out(_drawn(cells, console.err) if console.err.is_terminal else plain(cells))


def plain(cells: Sequence[Sequence[str]]) -> str:
    """Return rows as lines: columns as wide as their widest cell, two spaces between, as pipes and logs like it."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        first, *others = zip(row, widths, strict=True)
        lines.append("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip())
    return "\n".join(lines)


def _drawn(cells: Sequence[Sequence[str]], stream: Stream) -> str:
    from rich import box
    from rich.console import Console as RichConsole
    from rich.table import Table
    from rich.text import Text

    page = io.StringIO()
    rich = RichConsole(
        file=page,
        width=stream.columns,
        force_terminal=stream.color,
        color_system="auto" if stream.color else None,
        no_color=not stream.color,
        markup=False,
        highlight=False,
        emoji=False,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, title in enumerate(cells[0]):
        table.add_column(Text(title), justify="right" if number else "left", no_wrap=number > 0)
    for row in cells[1:]:
        table.add_row(*map(Text, row))
    rich.print(table)
    return "\n".join(line.rstrip() for line in page.getvalue().rstrip("\n").split("\n"))
