"""Tables of text: cells with commas, semicolons or tabs between, their names in the first line. Knows no format."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError
from mistral_cli.tune.lines import LONGEST_LINE, Lines, not_utf8, peek

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import BinaryIO

LONGEST_CELL = 2**24
"""Characters of one cell; Python's own limit is 128 kB, less than a book's chapter."""
_ESCAPED = re.compile("[\udc80-\udcff]")
"""What Python makes of a byte that is no UTF-8: ``_ESCAPE`` and the byte."""
_ESCAPE = 0xDC00


class _TooLongError(Exception):
    """A line that is passed over."""


def table_rows(file: BinaryIO, name: str, delimiters: str) -> Generator[tuple[int, dict[str, object] | str]]:
    """Yield the line on which each row begins and its cells by the columns' names, or what is wrong with it.

    Args:
        file: buffered, from its beginning.
        name: what it is called in errors.
        delimiters: what may stand between cells; that is taken of which the first line has most.

    Raises:
        UsageError: there is no line with the names.
    """
    csv.field_size_limit(LONGEST_CELL)
    lines = Lines(file)
    first = peek(file).partition(b"\n")[0].decode(errors="replace")
    reader = csv.reader(map(_text, lines), delimiter=max(delimiters, key=first.count), strict=True)
    names = _names(reader, name)
    while True:
        begins = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield begins, f"no CSV: {_described(error, begins, lines.number)}"
            continue
        except _TooLongError:
            yield begins, f"the line is longer than {LONGEST_LINE:,} bytes"
            continue
        if cells:
            yield begins, _by_name(names, cells)


def _text(numbered: tuple[int, bytes | None]) -> str:
    line = numbered[1]
    if line is None:
        raise _TooLongError
    return line.decode(errors="surrogateescape")


def _names(reader: Iterator[list[str]], name: str) -> list[str]:
    try:
        names = [cell.strip() for cell in next(reader, [])]
    except (csv.Error, _TooLongError) as error:
        why = _described(error, 1, 1) if isinstance(error, csv.Error) else "its first line has no end"
        raise UsageError(f"{name} is no table: {why}.", _EXAMPLE) from None
    if not any(names):
        raise UsageError(f"{name} has no first line with the names of its columns.", _EXAMPLE)
    escaped = next(filter(None, map(_ESCAPED.search, names)), None)
    if escaped is not None:
        raise UsageError(f"The first line of {name} is {not_utf8(ord(escaped.group()) - _ESCAPE)}.", _EXAMPLE)
    twice = next((cell for cell in names if cell and names.count(cell) > 1), None)
    if twice is not None:
        raise UsageError(f"{name} has two columns called {twice!a:.60}.", "Give each a name of its own.")
    return names


_EXAMPLE = "Its first line names the columns: prompt,completion"


def _described(error: csv.Error, begins: int, last: int) -> str:
    """Return what the reader objects to, in a user's words: its own name modes of Python's files."""
    said = str(error)
    if said.startswith("unexpected end"):  # all that follows was taken for one cell, however many rows it was
        return f"a quotation mark in this row has no partner, so all up to line {max(begins, last):,} is lost"
    if said.startswith("new-line character"):
        return "a line ends with CR alone; it is converted by: tr '\\r' '\\n'"
    return said


def _by_name(names: list[str], cells: list[str]) -> dict[str, object] | str:
    if len(cells) != len(names):
        return f"{len(cells)} cells where there are {len(names)} columns"
    escaped = next(filter(None, map(_ESCAPED.search, cells)), None)
    if escaped is not None:
        return not_utf8(ord(escaped.group()) - _ESCAPE)
    return dict(zip(names, cells, strict=True))
