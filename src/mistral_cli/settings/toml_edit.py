"""One key of a TOML text set or removed; every other byte stays, comments and order among them. Opens no file.

tomllib reads and does not write, and a library that does both would be loaded at every start. It is enough to find the
lines of the key: a statement is the fewest lines, from its first on, that tomllib accepts.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTROL = re.compile("[\x7f-\x9f\u2028\u2029]")


def literal(value: object) -> str:
    """Return a value as TOML writes it on one line.

    Raises:
        ValueError: a text that is not Unicode, such as the name of a file may be: TOML cannot hold it.
    """
    if isinstance(value, str):
        value.encode()  # a lone surrogate
        return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))
    if isinstance(value, Mapping):
        rows = [f"{literal(str(key))} = {literal(item)}" for key, item in value.items()]
        return f"{{ {', '.join(rows)} }}" if rows else "{}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(literal, value))}]"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def with_value(text: str, key: str, value: str) -> str:
    """Return ``text`` with ``key`` set to ``value``, which is TOML: where it stood, else behind the last key.

    Raises:
        ValueError: ``text`` is no TOML, or holds the key in a way that cannot be replaced line by line.
    """
    found = [part for part in _parts(text) if key in part.keys]
    if not found:
        return _checked(text, _added(text, f"{key} = {value}"), key, value)
    first = found[0]
    if first.is_header:  # its rows stand where no plain key may: those belong to the table before them
        return _checked(text, _added(_without(text, found), f"{key} = {value}"), key, value)
    line = first.beginning + value + first.comment if first.beginning else f"{key} = {value}"
    lines = _lines(text)
    lines[first.start : first.end] = [line + first.newline]
    rest = [part.moved(1 - (first.end - first.start)) for part in found[1:]]
    return _checked(text, _without("".join(lines), rest), key, value)


def without(text: str, key: str) -> str:
    """Return ``text`` without ``key``; comments stay.

    Raises:
        ValueError: as ``with_value``.
    """
    changed = _without(text, [part for part in _parts(text) if key in part.keys])
    return _checked(text, changed, key, None)


def _checked(before: str, after: str, key: str, value: str | None) -> str:
    """Return ``after`` if it says what ``before`` does but for the key."""
    wanted = tomllib.loads(before)
    wanted.pop(key, None)
    if value is not None:
        wanted[key] = tomllib.loads(f"{key} = {value}")[key]
    if tomllib.loads(after) != wanted:
        raise ValueError(f"{key} stands there in a way that cannot be replaced line by line")
    return after


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A statement, or a table with all its rows: lines ``start`` to ``end``."""

    start: int
    end: int
    keys: frozenset[str]
    is_header: bool = False
    beginning: str = ""
    """Of a plain key on a line of its own: what stands before the value."""
    comment: str = ""
    """What stands behind it, the space before included."""
    newline: str = "\n"

    def moved(self, lines: int) -> _Part:
        return replace(self, start=self.start + lines, end=self.end + lines)


def _lines(text: str) -> list[str]:
    """Return the lines as TOML counts them, each with its end."""
    return re.findall(r"[^\n]*\n|[^\n]+$", text)


def _parts(text: str) -> Iterator[_Part]:
    """Yield the statements of the top level, and the tables behind them."""
    lines, at = _lines(text), 0
    table: _Part | None = None
    while at < len(lines):
        if _says_nothing(lines[at]):
            at += 1
            continue
        end, said = _statement(lines, at)
        if lines[at].lstrip().startswith("["):
            if table is not None:
                yield _closed(lines, table, at)
            table = _Part(start=at, end=end, keys=frozenset(said), is_header=True)
        elif table is None:
            yield _plain(lines, at, end, said)
        at = end
    if table is not None:
        yield _closed(lines, table, len(lines))


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _closed(lines: list[str], table: _Part, end: int) -> _Part:
    """Return a table up to ``end``, without the comments and blank lines there: they belong to what follows."""
    while end > table.end and _says_nothing(lines[end - 1]):
        end -= 1
    return replace(table, end=end)


def _statement(lines: list[str], start: int) -> tuple[int, dict[str, Any]]:
    """Return the line behind a statement, and what it says."""
    for end in range(start + 1, len(lines) + 1):
        try:
            return end, tomllib.loads("".join(lines[start:end]))
        except tomllib.TOMLDecodeError:
            continue
    raise ValueError(f"line {start + 1} is not TOML")


def _plain(lines: list[str], start: int, end: int, table: dict[str, Any]) -> _Part:
    """Return a statement of the top level; where it is one line, with what stands around its value."""
    line = lines[start].rstrip("\r\n")
    newline = lines[end - 1][len(lines[end - 1].rstrip("\r\n")) :]
    before = re.match(r"\s*[\w\"'-]+\s*=\s*", line)
    if before is None:
        return _Part(start=start, end=end, keys=frozenset(table), newline=newline)
    comment = ""
    for match in re.finditer(r"\s*#", line) if end == start + 1 else ():
        try:
            if tomllib.loads(line[: match.start()]) == table:
                comment = line[match.start() :]
                break
        except tomllib.TOMLDecodeError:
            continue  # it is a part of the value
    return _Part(start=start, end=end, keys=frozenset(table), beginning=before[0], comment=comment, newline=newline)


def _without(text: str, parts: list[_Part]) -> str:
    gone = {number for part in parts for number in range(part.start, part.end)}
    return "".join(line for number, line in enumerate(_lines(text)) if number not in gone)


def _added(text: str, line: str) -> str:
    """Return ``text`` with a line behind the last plain key, or before the first table, or at its end."""
    lines, newline = _lines(text), "\r\n" if "\r\n" in text else "\n"
    parts = list(_parts(text))
    plain = [part.end for part in parts if not part.is_header]
    tables = [part.start for part in parts if part.is_header]
    at = plain[-1] if plain else tables[0] if tables else len(lines)
    if at and not lines[at - 1].endswith("\n"):
        lines[at - 1] += newline
    lines.insert(at, line + newline)
    return "".join(lines)
