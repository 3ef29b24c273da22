"""A stranger's regular expressions for modules' names, matched in bounded time. Knows no adapter and no torch.

Python's own ``re`` tries one way through an expression after the other, and twenty characters can be made to take it
years. Here all ways go at once: the places in a name that are reached, the bits of one number, go from part to part
(Thompson, "Regular expression search algorithm", 1968). What depends on the way that was taken (references to groups,
possessive repeats) or looks back is refused; so are flags.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Part = Callable[[str, int], int]
    """(name, the places from which it goes on) -> the places that it leads to; place p is bit p."""

LONGEST = 1000
"""Characters of an expression."""
REPEATS = 32
"""Repeats in one expression, and ``DEEPEST`` within each other: they bound what matching costs."""
DEEPEST = 3

_QUANTIFIER = re.compile(r"(?:\*|\+|\?|\{(?P<count>\d{1,4})\}|\{(?P<least>\d{0,4}),(?P<most>\d{0,4})\})")
_GROUP = re.compile(r"\((?:\?(?P<kind>:|=|!|P<\w+>))?")
_SET = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]")
_ESCAPE = re.compile(r"\\(?:[dDwWsS]|[^A-Za-z0-9])")
_EDGES = {"^": "start", r"\A": "start", "$": "end", r"\Z": "end", r"\b": "edge", r"\B": "inside"}


@cache
def expression(text: str) -> Part:
    """Return what goes through a name by the regular expression ``text``.

    Raises:
        ValueError: it is none, or of a kind that is not matched here; the reason in one line.
    """
    if len(text) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what may mean something else one day
            re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"it is no regular expression: {error}") from error
    return _Reader(text).read()


def matches(text: str, name: str) -> bool:
    """Tell whether the expression ``text`` matches the whole ``name``, as ``re.fullmatch`` does."""
    return bool(expression(text)(name, 1) >> len(name) & 1)


def matches_end(text: str, name: str) -> bool:
    """Tell whether it matches ``name`` or what follows one of its dots, as PEFT's ``get_pattern_key`` does."""
    starts = 1 | sum(1 << place + 1 for place, sign in enumerate(name) if sign == ".")
    return bool(expression(text)(name, starts) >> len(name) & 1)


class _Reader:
    """Reads an expression, of which ``re`` has said that it is one, into its parts."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._repeats = 0

    def read(self) -> Part:
        part, depth = self._choice()
        if depth > DEEPEST or self._repeats > REPEATS:
            raise ValueError(f"it has more than {REPEATS} repeats, or more than {DEEPEST} within each other")
        return part

    def _choice(self) -> tuple[Part, int]:
        """Read alternatives; return them with how deep repeats lie within each other there."""
        read = [self._sequence()]
        while self._text[self._at : self._at + 1] == "|":
            self._at += 1
            read.append(self._sequence())
        parts, depth = [part for part, _ in read], max(depth for _, depth in read)
        return (parts[0] if len(parts) == 1 else _any_of(parts)), depth

    def _sequence(self) -> tuple[Part, int]:
        parts: list[Part] = []
        deepest = 0
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            part, depth = self._atom()
            least, most, is_repeat = self._quantifier()
            parts.append(_repeated(part, least, most) if is_repeat else part)
            deepest = max(deepest, depth + is_repeat)
        return _one_by_one(parts), deepest

    def _atom(self) -> tuple[Part, int]:
        for edge, kind in _EDGES.items():
            if self._text.startswith(edge, self._at):
                self._at += len(edge)
                return _at_edge(kind), 0
        if self._text[self._at] == "(":
            return self._group()
        for kind_of_set in (_SET, _ESCAPE):
            found = kind_of_set.match(self._text, self._at)
            if found:
                self._at = found.end()
                return _sign(found[0]), 0
        if self._text[self._at] == "\\":
            raise ValueError(f"{self._text[self._at : self._at + 2]!r} is not matched here")
        self._at += 1
        sign = self._text[self._at - 1]
        return _sign(sign if sign == "." else re.escape(sign)), 0

    def _group(self) -> tuple[Part, int]:
        found = _GROUP.match(self._text, self._at)
        if found is None or self._text.startswith("?", found.end()):
            raise ValueError(f"{self._text[self._at : self._at + 4]!r} is not matched here")
        self._at = found.end()
        part, depth = self._choice()
        self._at += 1  # the bracket, of which re has seen that it is there
        if found["kind"] in ("=", "!"):
            return _ahead(part, wanted=found["kind"] == "="), depth + 1
        return part, depth

    def _quantifier(self) -> tuple[int, int | None, bool]:
        """Read how often what came may come: at least, at most, and whether anything says so."""
        found = _QUANTIFIER.match(self._text, self._at)
        if found is None:
            return 1, 1, False
        self._at = found.end()
        if self._text.startswith("?", self._at):  # lazy: another order of the same ways
            self._at += 1
        elif self._text.startswith("+", self._at):
            raise ValueError("a possessive repeat is not matched here")
        self._repeats += 1
        if found[0] in _SIMPLE:
            return *_SIMPLE[found[0]], True
        if found["count"] is not None:
            return int(found["count"]), int(found["count"]), True
        return int(found["least"] or 0), int(found["most"]) if found["most"] else None, True


_SIMPLE: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def _sign(text: str) -> Part:
    """Return the part that goes over one sign of those that ``text``, a set or a single one, matches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = re.compile(text).fullmatch

    @cache
    def places(name: str) -> int:
        return sum(1 << place for place, sign in enumerate(name) if fits(sign))

    return lambda name, starts: (starts & places(name)) << 1


def _one_by_one(parts: list[Part]) -> Part:
    def go(name: str, starts: int) -> int:
        for part in parts:
            starts = part(name, starts)
        return starts

    return go


def _any_of(parts: list[Part]) -> Part:
    def go(name: str, starts: int) -> int:
        reached = 0
        for part in parts:
            reached |= part(name, starts)
        return reached

    return go


def _repeated(part: Part, least: int, most: int | None) -> Part:
    """Return ``part`` some times; each time goes on or stands still, so after a name's length nothing is new."""

    def go(name: str, starts: int) -> int:
        for _ in range(min(least, len(name) + 1)):
            starts = part(name, starts)
        reached = new = starts
        for _ in range(len(name) + 1 if most is None else min(most - least, len(name) + 1)):
            new = part(name, new) & ~reached
            reached |= new
            if not new:
                break
        return reached

    return go


def _ahead(part: Part, *, wanted: bool) -> Part:
    def go(name: str, starts: int) -> int:
        there = (place for place in range(len(name) + 1) if starts >> place & 1)
        return sum(1 << place for place in there if bool(part(name, 1 << place)) == wanted)

    return go


def _at_edge(kind: str) -> Part:
    def is_word(name: str, place: int) -> bool:
        return 0 <= place < len(name) and (name[place].isalnum() or name[place] == "_")

    def holds(name: str, place: int) -> bool:
        if kind in ("start", "end"):
            return place == (0 if kind == "start" else len(name))
        return (is_word(name, place - 1) != is_word(name, place)) == (kind == "edge")

    def go(name: str, starts: int) -> int:
        return starts & sum(1 << place for place in range(len(name) + 1) if holds(name, place))

    return go
