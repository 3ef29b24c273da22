"""Training data in files and pipes: rows as they come, each with its place. Knows no format of rows, no ids.

A row that cannot be read is handed on as what is wrong with it: who reads decides whether that ends the run. Memory
holds one row at a time, however long a line is.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.errors import MistralError, ModelNotFoundError, UsageError
from mistral_cli.tune.lines import LOOK, Lines, check_encoding, decode, peek
from mistral_cli.tune.tables import table_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

LARGEST_LIST = 2**29
"""Bytes of a JSON list, which is read at once; lines of JSON have no such limit."""
LONGEST_PARAGRAPH = 2**25
"""Characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entry of the data."""

    number: int
    """The line of the file it begins on, or its index at the hub; from 1."""
    columns: Mapping[str, object] | None = None
    """What it holds by name; None where it could not be read."""
    error: str = ""
    """What is wrong with it."""


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file: .jsonl, .json, .csv, .tsv; of .txt and .md, one row a paragraph; others by content.

    Raises:
        ModelNotFoundError: no such file.
        UsageError: a folder; no text in UTF-8; a list that is none; a CSV file without a line of names.
        MistralError: it cannot be read.
    """
    if not path.exists():
        raise ModelNotFoundError(f"There is no data at {path}.", "Give a file, or the id of a data set (OWNER/NAME).")
    if path.is_dir():
        raise UsageError(f"{path} is a folder, but the data is one file.", "Name the file in it.")
    try:
        with path.open("rb") as file:
            yield from read_stream(file, str(path), path.suffix.lower())
    except OSError as error:
        raise MistralError(f"{path} cannot be read: {error.strerror}.", "Check the file and its rights.") from error


def read_stream(file: BinaryIO, name: str, ending: str = "") -> Iterator[Row]:
    """Yield the rows of an open file, or a pipe.

    Args:
        file: buffered, from its beginning.
        name: what it is called in errors.
        ending: of its name; what ``READERS`` does not know is read as it looks: JSON, or plain text.

    Raises:
        UsageError, OSError: as ``read_rows``.
    """
    begin = peek(file)
    check_encoding(begin, name)
    return READERS.get(ending, _by_content)(file, name)


def _by_content(file: BinaryIO, name: str) -> Iterator[Row]:
    begin = peek(file).lstrip()[:1]
    return {b"{": _json_lines, b"[": _json_list}.get(begin, _paragraphs)(file, name)


def _json(file: BinaryIO, name: str) -> Iterator[Row]:
    """Read a .json file, which may hold lines, too: data sets are often called so."""
    begin = peek(file)
    first, line_end, _ = begin.lstrip().partition(b"\n")
    is_one = first.rstrip().endswith(b"}") if line_end else len(begin) == LOOK  # or too long to see the end of
    return _json_lines(file, name) if first.startswith(b"{") and is_one else _json_list(file, name)


def _json_lines(file: BinaryIO, _: str) -> Iterator[Row]:
    for number, line in Lines(file):
        text, error = decode(line)
        if error:
            yield Row(number=number, error=error)
        elif text.strip():
            yield _parsed(number, text)


def _parsed(number: int, text: str) -> Row:
    try:
        return _row(number, json.loads(text))
    except (ValueError, RecursionError) as error:
        return Row(number=number, error=f"no JSON: {error}")


def _json_list(file: BinaryIO, name: str) -> Iterator[Row]:
    data = file.read(LARGEST_LIST + 1)
    if len(data) > LARGEST_LIST:
        raise UsageError(f"{name} holds more than {LARGEST_LIST:,} bytes in one list.", _AS_LINES)
    try:
        entries = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} holds no JSON: {error}.", "Lines of JSON want the ending .jsonl.") from error
    if not isinstance(entries, list):
        raise UsageError(f"{name} holds no list of rows.", _AS_LINES)
    for number, entry in enumerate(entries, 1):
        yield _row(number, entry)


_AS_LINES = "Write one JSON object a line into a .jsonl file."


def _row(number: int, entry: object) -> Row:
    if not isinstance(entry, dict):
        return Row(number=number, error=f"no object: {json.dumps(entry, ensure_ascii=False):.60}")
    return Row(number=number, columns=entry)


def _table(file: BinaryIO, name: str, delimiters: str) -> Iterator[Row]:
    with closing(table_rows(file, name, delimiters)) as rows:
        for number, cells in rows:
            yield Row(number=number, error=cells) if isinstance(cells, str) else Row(number=number, columns=cells)


def _commas(file: BinaryIO, name: str) -> Iterator[Row]:
    return _table(file, name, ",;\t")  # spreadsheets write semicolons where the comma is for decimals


def _tabs(file: BinaryIO, name: str) -> Iterator[Row]:
    return _table(file, name, "\t")


def _paragraphs(file: BinaryIO, _: str) -> Iterator[Row]:
    """Yield what stands between blank lines."""
    held: list[str] = []
    begins, size, wrong = 1, 0, ""
    for number, line in Lines(file):
        text, error = decode(line)
        if not (text.strip() or error):
            yield from _paragraph(begins, held, wrong)
            held, size, wrong = [], 0, ""
            continue
        begins = begins if held or wrong else number
        size += len(text)
        wrong = wrong or error or ("" if size <= LONGEST_PARAGRAPH else f"more than {LONGEST_PARAGRAPH:,} characters")
        held = [] if wrong else [*held, text]
    yield from _paragraph(begins, held, wrong)


def _paragraph(begins: int, held: list[str], wrong: str) -> Iterator[Row]:
    if wrong:
        yield Row(number=begins, error=wrong)
    elif held:
        yield Row(number=begins, columns={"text": "".join(held).rstrip("\r\n")})


READERS: Mapping[str, Callable[[BinaryIO, str], Iterator[Row]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _commas,
    ".tsv": _tabs,
    ".txt": _paragraphs,
    ".md": _paragraphs,
}
"""Ending of a file's name -> how its rows are read."""
