"""The blocks of a Markdown answer: each takes its source piece by piece and tells which of its lines are for good.

Knows no terminal; a ``width`` is that of the terminal now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mistral_cli.ui.markdown.code import Highlighter
from mistral_cli.ui.markdown.inline import render, render_begun, unchanging
from mistral_cli.ui.markdown.table import Table
from mistral_cli.ui.wrap import breaks, cells

if TYPE_CHECKING:
    from rich.text import Text

_HOLD = 400
"""Characters after which a mark that was never closed is taken as text."""
_DIM = "dim"
_RULE = "─"
_MOST_ROWS = 3
"""Rows of a line of code that is taken back to be coloured: more might have left the screen, where nothing can."""


class Block(Protocol):
    """What the next words or lines belong to."""

    def settle(self, width: int) -> list[Text]:
        """Return the lines that no later word can change, each once."""
        ...

    def live(self, width: int, begun: str = "") -> list[Text]:
        """Return how the rest looks now, with the line that has begun where blocks take whole lines."""
        ...

    def close(self, width: int) -> list[Text]:
        """Return the rest, for good."""
        ...

    def cut(self, width: int) -> list[Text]:
        """Return what the screen shows and cannot be taken back: later lines follow it."""
        ...


class Prose:
    """A paragraph, a heading, the text of a list's item: words, wrapped.

    Args:
        first: what stands before the first line, such as a list's mark.
        rest: what stands before the others.
        style: of all its words.
    """

    def __init__(self, first: Text, rest: Text, style: str = "") -> None:
        self._prefix, self._rest = first, rest
        self._style = style
        self._source = ""
        self._words = render("")

    def feed(self, text: str) -> None:
        """Take the next words, or the end of a line."""
        self._source += text
        size, _ = unchanging(self._source)
        if not size and len(self._source) > _HOLD:
            size = self._source.rfind(" ") + 1 or len(self._source)
        if size:
            self._words.append_text(render(self._source[:size]))
            self._source = self._source[size:]

    def settle(self, width: int) -> list[Text]:
        """Return the full lines."""
        *full, self._words = self._lines(self._words, width)
        return self._dress(full)

    def live(self, width: int, begun: str = "") -> list[Text]:  # noqa: ARG002 (a block's)
        """Return the last line, as if everything in it were closed."""
        before = self._prefix
        lines = self._lines(self._words + render_begun(self._source), width)
        ends_in_space = lines[-1].plain.endswith(" ")
        dressed = self._dress(lines)
        self._prefix = before
        if ends_in_space and cells(dressed[-1].plain) < width:
            dressed[-1].append(" ")
        return dressed

    def close(self, width: int) -> list[Text]:
        """Return the last line."""
        self._words.append_text(render(self._source.rstrip()))
        self._source = ""
        return self._dress(self._lines(self._words, width))

    def cut(self, width: int) -> list[Text]:
        """Return nothing: it shows a line or two, which are drawn again."""
        return self.settle(width)

    def _lines(self, words: Text, width: int) -> list[Text]:
        room = max(width - cells(self._rest.plain), 1)
        return list(words.divide(breaks(words.plain, room)))

    def _dress(self, lines: list[Text]) -> list[Text]:
        dressed = []
        for line in lines:
            line.rstrip()
            line.stylize_before(self._style)
            dressed.append(self._prefix + line)
            self._prefix = self._rest
        return dressed


class Code:
    """Fenced code, line by line; a line is never broken, the terminal wraps what is longer.

    Args:
        prefix: what stands before each line.
        language: what follows the fence.
        fence: the marks that open it, and close it again; empty for indented code.
        indent: spaces that the fence stands behind.
    """

    def __init__(self, prefix: Text, language: str, fence: str, indent: int) -> None:
        self._prefix = prefix
        self._indent = indent  # of the fence, which the lines inside may have, too
        self._fence = fence
        self._highlighter = Highlighter(language)
        self._settled = [self._edge(language)]

    @property
    def is_fenced(self) -> bool:
        """Tell whether a fence ends it; if not, the first line that is not indented."""
        return bool(self._fence)

    def closes_with(self, line: str) -> bool:
        """Tell whether ``line`` is the closing fence."""
        bare = line.strip()
        return bool(self._fence) and bare.startswith(self._fence) and not bare.strip(self._fence[0])

    def add(self, line: str, width: int) -> None:
        """Take the next whole line; one of many rows stays without colours, as it was while it came."""
        bare = self._bare(line)
        self._settled.append(self._prefix + (bare if self.only_grows(line, width) else self._highlighter.line(bare)))

    def only_grows(self, begun: str, width: int) -> bool:
        """Tell whether a line that has begun will stand there as it does now, and what follows behind it."""
        return cells(self._bare(begun)) > _MOST_ROWS * width

    def settle(self, width: int) -> list[Text]:  # noqa: ARG002 (a block's)
        """Return the lines that are whole."""
        settled, self._settled = self._settled, []
        return settled

    def live(self, width: int, begun: str = "") -> list[Text]:  # noqa: ARG002
        """Return the line that is being written, without colours."""
        is_fence = bool(self._fence) and not begun.strip().strip(self._fence[0])
        return [self._prefix + self._bare(begun)] if begun and not is_fence else []

    def close(self, width: int) -> list[Text]:
        """Return the rest and the lower edge."""
        return [*self.settle(width), self._edge("")]

    def cut(self, width: int) -> list[Text]:
        """Return nothing but what is whole."""
        return self.settle(width)

    def _bare(self, line: str) -> str:
        spaces = len(line) - len(line.lstrip(" "))
        return line[min(spaces, self._indent) :]

    def _edge(self, language: str) -> Text:
        from rich.text import Text

        label = f"{_RULE * 2} {language} " if language else ""
        return self._prefix + Text.assemble((label.ljust(20, _RULE), _DIM))


class Rows:
    """A table, of which the first line may turn out to be text."""

    def __init__(self, prefix: Text, header: str) -> None:
        self._prefix = prefix
        self.header = header
        self.table: Table | None = None

    def add(self, line: str) -> None:
        """Take the next whole line."""
        if self.table is None:
            self.table = Table(self.header, line)
        else:
            self.table.add(line)

    def settle(self, width: int) -> list[Text]:
        """Return nothing where a later row may widen a column; rows that stand as paragraphs are for good."""
        room = self._room(width)
        return self._dress(self.table.settle(room)) if self.table is not None and self.table.stacks(room) else []

    def live(self, width: int, begun: str = "") -> list[Text]:
        """Return the rows so far, and the begun one below as it is."""
        from rich.text import Text

        if self.table is None:
            return [self._prefix + _end(line, width) for line in (self.header, begun) if line]
        below = [self._prefix + Text.assemble((_end(begun, width), _DIM))] if begun else []
        return self._dress(self.table.lines(self._room(width))) + below

    def close(self, width: int) -> list[Text]:
        """Return the rows that were not settled."""
        if self.table is None:
            return [self._prefix + self.header]
        return self._dress(self.table.lines(self._room(width)))

    def cut(self, width: int) -> list[Text]:
        """Return the rows so far; those to come get columns of the same widths."""
        return self._dress(self.table.settle(self._room(width))) if self.table is not None else []

    def _room(self, width: int) -> int:
        return max(width - cells(self._prefix.plain), 1)

    def _dress(self, lines: list[Text]) -> list[Text]:
        for line in lines:
            line.rstrip()
        return [self._prefix + line for line in lines]


def _end(line: str, width: int) -> str:
    """Return as much of a line's end as is shown until the line is whole: a row or two."""
    return line if len(line) <= width else "…" + line[1 - width :]
