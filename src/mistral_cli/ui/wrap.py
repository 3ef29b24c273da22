"""Where lines break: at words, never inside one that fits, wide characters counted as two cells. Knows no terminal."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_WIDE = "\u2e80-\u2fff\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff"
_ENDS = "\u3001\u3002\u300d\u300f\u3011\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f"  # these do not begin a line
_PIECE = re.compile(rf"\n|[^\S\n]+|[{_WIDE}][{_ENDS}]*|[^\s{_WIDE}]+")
TAB = 8


def cells(text: str) -> int:
    """Return how many cells ``text`` takes on a terminal, from the first column of a line."""
    if text.isascii() and "\t" not in text:
        return len(text)
    from rich.cells import cell_len

    first, *others = text.split("\t")
    column = cell_len(first)
    for part in others:
        column += TAB - column % TAB + cell_len(part)
    return column


def pieces(text: str) -> list[str]:
    """Cut text into newlines, runs of space, words, and the characters of scripts that break anywhere."""
    return _PIECE.findall(text)


def breaks(text: str, width: int) -> list[int]:
    """Return the offsets at which new lines of ``text`` begin, none for text that fits into ``width`` cells.

    Spaces at the end of a line stay there and take no room; a word longer than a line is cut where the line is full.
    """
    found: list[int] = []
    at = column = 0
    for piece in pieces(text):
        size = cells(piece)
        if piece == "\n":
            found.append(at + 1)
            column = 0
        elif piece.isspace():
            column += size
        else:
            if column and column + size > width:
                found.append(at)
                column = 0
            cuts, column = _cut(piece, column, width)
            found.extend(at + cut for cut in cuts)
        at += len(piece)
    return found


def _cut(word: str, column: int, width: int) -> tuple[list[int], int]:
    """Return where a word that begins in ``column`` is cut, and the column after it."""
    size = cells(word)
    if column + size <= width:
        return [], column + size
    cuts: list[int] = []
    for offset, char in enumerate(word):
        size = cells(char)
        if column and column + size > width:
            cuts.append(offset)
            column = 0
        column += size
    return cuts, column


def wrapped(text: str, width: int, indent: str = "") -> str:
    """Return one paragraph wrapped at words, all lines but the first indented."""
    if cells(text) <= width:
        return text
    first = next(iter(breaks(text, width)), len(text))
    rest = text[first:]
    edges = [0, *breaks(rest, max(width - len(indent), 1)), len(rest)]
    lines = [text[:first], *(rest[start:end] for start, end in itertools.pairwise(edges))]
    return f"\n{indent}".join(line.rstrip() for line in lines if line)


@dataclass(slots=True)
class Wrapper:
    """Wraps a text while it comes: what it returns is to be written at once, and takes back the word that did not fit.

    Lines of fenced code are left as they are: the terminal wraps them itself, and a copy has no newline too many.
    """

    can_redraw: bool
    """Whether a word can be taken off the screen again; if not, a word is held until it is whole."""
    _column: int = 0
    _word: str = ""
    _painted: str = ""
    """The word as it is written."""
    _line: str = ""
    """How the line begins, as far as it takes to see whether it is a fence."""
    _is_code: bool = False

    def push(self, text: str, width: int, paint: Callable[[str], str] = str) -> str:
        """Return what to write for the next piece.

        Args:
            text: the piece.
            width: columns of the terminal now.
            paint: returns a part of it as it is written, in its style.
        """
        return "".join(self._take(piece, width, paint) for piece in pieces(text))

    def finish(self) -> str:
        """Return what was held back."""
        held, self._word, self._painted = self._painted, "", ""
        return "" if self.can_redraw else held

    def _take(self, piece: str, width: int, paint: Callable[[str], str]) -> str:
        if piece == "\n":
            return self._end_line()
        self._line = (self._line + piece)[:80]
        if self._is_code or self._line.lstrip().startswith(("```", "~~~")):
            return self.finish() + paint(piece)
        if piece.isspace():
            return self._add_space(piece, width, paint)
        return self._grow(piece, width, paint) if self.can_redraw else self._hold(piece, width, paint)

    def _end_line(self) -> str:
        if self._line.lstrip().startswith(("```", "~~~")):
            self._is_code = not self._is_code
        held = self.finish()
        self._column, self._line = 0, ""
        return held + "\n"

    def _add_space(self, piece: str, width: int, paint: Callable[[str], str]) -> str:
        """End the word; of a space, only what the line has room for is written: the rest would be a line of its own."""
        self._column += 0 if self.can_redraw else cells(self._word)
        held, room = self.finish(), max(width - self._column, 0)
        self._column += len(piece)
        return held + (paint(piece[:room]) if room else "")

    def _grow(self, piece: str, width: int, paint: Callable[[str], str]) -> str:
        """Write the piece behind its word's beginning, or move both to a line of their own."""
        before = cells(self._word)
        if self._is_apart(piece):
            self._word, self._painted, before = "", "", 0
        begun = self._column - before
        self._word += piece
        self._painted += paint(piece)
        self._column += cells(piece)
        if self._column <= width or begun <= 0 or cells(self._word) > width:
            return paint(piece)
        self._column = cells(self._word)
        return (f"\x1b[{before}D\x1b[K" if before else "") + "\n" + self._painted

    def _hold(self, piece: str, width: int, paint: Callable[[str], str]) -> str:
        out = ""
        if self._is_apart(piece):
            self._column += cells(self._word)
            out, self._word, self._painted = self._painted, "", ""
        self._word += piece
        self._painted += paint(piece)
        if self._column and self._column + cells(self._word) > width:
            self._column = 0
            out += "\n"
        return out

    def _is_apart(self, piece: str) -> bool:
        """Tell whether a line may break between the word so far and the piece."""
        return bool(self._word) and len(pieces(self._word[-1] + piece)) > 1
