"""Training data on the disk or at the hub: rows as they come, each with its place. Knows no format of rows, no ids.

A row that cannot be read is handed on as what is wrong with it: who reads decides whether that ends the run.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.errors import MistralError, ModelNotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

LONGEST_CELL = 2**24
"""Characters of one cell of a CSV file; Python's own limit is 128 kB, less than a book's chapter."""


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
    """Yield the rows of a file: .jsonl, .json, .csv, .tsv; any other is plain text, one row a paragraph.

    Raises:
        ModelNotFoundError: no such file.
        UsageError: a folder; a .json file that holds no list; a CSV file without a line of names.
        MistralError: it cannot be read.
    """
    if not path.exists():
        raise ModelNotFoundError(f"There is no data at {path}.", "Give a file, or the id of a data set (OWNER/NAME).")
    if path.is_dir():
        raise UsageError(f"{path} is a folder, but the data is one file.", "Name the file in it.")
    try:
        yield from READERS.get(path.suffix.lower(), _paragraphs)(path)
    except OSError as error:
        raise MistralError(f"{path} cannot be read: {error.strerror}.", "Check the file and its rights.") from error


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8", errors="replace")
            if not text.strip():
                continue
            try:
                yield _row(number, json.loads(text))
            except (ValueError, RecursionError) as error:
                yield Row(number=number, error=f"no JSON: {error}")


def _json_list(path: Path) -> Iterator[Row]:
    try:
        data = json.loads(path.read_bytes().decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} holds no JSON: {error}.", "Lines of JSON want the ending .jsonl.") from error
    if not isinstance(data, list):
        raise UsageError(f"{path} holds no list of rows.", "Write one JSON object a line into a .jsonl file.")
    for number, entry in enumerate(data, 1):
        yield _row(number, entry)


def _row(number: int, entry: object) -> Row:
    if not isinstance(entry, dict):
        return Row(number=number, error=f"no object: {entry!r:.60}")
    return Row(number=number, columns=entry)


def _table(path: Path, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_CELL)
    with io.TextIOWrapper(path.open("rb"), encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        names = next(reader, None)
        if not names or not any(name.strip() for name in names):
            raise UsageError(f"{path} has no first line with the names of its columns.", "Add one: prompt,completion")
        begins = reader.line_num + 1
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(number=begins, error=f"no CSV: {error}")
                begins = reader.line_num + 1
                continue
            if cells:
                yield _cells(begins, names, cells)
            begins = reader.line_num + 1


def _cells(number: int, names: list[str], cells: list[str]) -> Row:
    if len(cells) != len(names):
        return Row(number=number, error=f"{len(cells)} cells where there are {len(names)} columns")
    return Row(number=number, columns={name.strip(): cell for name, cell in zip(names, cells, strict=True)})


def _commas(path: Path) -> Iterator[Row]:
    return _table(path, ",")


def _tabs(path: Path) -> Iterator[Row]:
    return _table(path, "\t")


def _paragraphs(path: Path) -> Iterator[Row]:
    """Yield what stands between blank lines."""
    held: list[str] = []
    begins = 0
    with io.TextIOWrapper(path.open("rb"), encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                begins = begins if held else number
                held.append(line)
            elif held:
                yield Row(number=begins, columns={"text": "".join(held).rstrip("\n")})
                held = []
    if held:
        yield Row(number=begins, columns={"text": "".join(held).rstrip("\n")})


READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_list,
    ".csv": _commas,
    ".tsv": _tabs,
}
"""Ending of a file's name -> how its rows are read."""
