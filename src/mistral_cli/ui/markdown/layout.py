"""Markdown into blocks while it comes: which block a line belongs to, as soon as that is certain. Knows no terminal.

CommonMark's and GFM's blocks, read line by line; setext headings and HTML are shown as the text that they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.ui.markdown.blocks import Code, Prose, Rows
from mistral_cli.ui.markdown.table import is_delimiter
from mistral_cli.ui.wrap import cells

if TYPE_CHECKING:
    from rich.text import Text

    from mistral_cli.ui.markdown.blocks import Block

_QUOTES = re.compile(r"(?: {0,3}> ?)*")
_ITEM = re.compile(r"( *)([-*+]|\d{1,9}[.)])( +)(?=\S)")
_TASK = re.compile(r"\[([ xX])\] +")
_TASK_BEGUN = re.compile(r"\[(?:[ xX](?:\] *)?)?")
_HEADING = re.compile(r"(#{1,6})[ \t]+(?=\S)")
_RULE = re.compile(r" *([-*_])( *\1){2,} *")
_SETEXT = re.compile(r"=+ *")
_FENCE = re.compile(r"(`{3,})([^`]*)|(~{3,})(.*)")
# What a line of words can be told by before it is whole: it cannot become a list's mark, a rule, a fence or a table.
_WORDS = re.compile(
    r"[^\s\-*_+=#`~|>\d]|\d+[^\d.)]|\d+[.)][^\s]|[*_]{1,3}[^\s*_]|`{1,2}[^`]|[-+][^\s\-+]|#{1,6}[^#\s]|~{1,2}[^~]"
)
_CODE_INDENT = 4
_HEADING_STYLES = ("bold underline", "bold")


@dataclass(frozen=True, slots=True)
class _Item:
    """An open item of a list: columns of its mark and of its text in the source, and of its text on the screen."""

    mark: int
    text: int
    shown: int


class Layout:
    """Takes a text piece by piece; gives the lines that are for good, each once, and how the rest looks now."""

    def __init__(self) -> None:
        self._block: Block | None = None
        self._flows = False
        """Whether the words to come belong to the open block up to the end of the line."""
        self._line = ""
        self._quotes = 0
        self._items: list[_Item] = []
        self._was_in_list = False
        self._has_begun = False
        self._after_blank = False
        self._closes_at_end = False
        self._out: list[Text] = []

    def feed(self, text: str, width: int) -> list[Text]:
        """Take the next piece; return the lines that it settled."""
        *lines, rest = text.split("\n")
        for line in lines:
            self._more(line, width)
            self._end_line(width)
        self._more(rest, width)
        if self._block is not None:
            self._out += self._block.settle(width)
        return self._taken()

    def live(self, width: int) -> list[Text]:
        """Return how what is not settled looks now."""
        from rich.text import Text

        lines = self._block.live(width, self._line) if self._block is not None else []
        if self._line.strip() and not isinstance(self._block, (Code, Rows)) and self._line.lstrip()[0] not in "`~*_#=":
            lines += [Text("")] * (self._after_blank and self._has_begun) + [Text(self._line.strip()[:width])]
        return lines

    def only_grows(self, width: int) -> bool:
        """Tell whether the last live line is for good as far as it goes."""
        return isinstance(self._block, Code) and self._block.only_grows(self._line, width)

    def finish(self, width: int) -> list[Text]:
        """Return the rest; the text ends here."""
        if self._line:
            self._end_line(width)
        self._close(width)
        return self._taken()

    def cut(self, width: int) -> list[Text]:
        """Return what can be settled of the open block though it is not whole: it is as tall as the screen."""
        if self._block is not None:
            self._out += self._block.cut(width)
        return self._taken()

    # -- lines -------------------------------------------------------------------------------------------------------

    def _more(self, text: str, width: int) -> None:
        if self._flows and isinstance(self._block, Prose):
            self._block.feed(text)
            return
        self._line += text
        if not isinstance(self._block, (Code, Rows)) and self._is_words(self._line):
            line, self._line = self._line, ""
            self._words(line, width)
            self._flows = True

    def _end_line(self, width: int) -> None:
        if not self._flows:
            line, self._line = self._line, ""
            self._whole(line.rstrip("\r"), width)
        elif self._closes_at_end:
            self._close(width)
        elif isinstance(self._block, Prose):
            self._block.feed("\n")
        self._flows = self._closes_at_end = False

    def _is_words(self, line: str) -> bool:
        """Tell whether a begun line is certainly one of words (or a heading), in a list or not."""
        rest = line[_QUOTES.match(line).end() :]  # type: ignore[union-attr]  # matches everywhere
        if self._is_indented(rest):
            return False
        while (item := _ITEM.match(rest)) is not None and not _RULE.fullmatch(rest):
            rest = rest[item.end() :]
        rest = rest.lstrip(" ")
        if _TASK_BEGUN.fullmatch(rest):
            return False
        return bool(_WORDS.match(rest) or _HEADING.match(rest))

    def _is_indented(self, rest: str) -> bool:
        """Tell whether a line is indented code: so far in, and no paragraph that it could go on with."""
        inside = self._items[-1].text if self._items else 0
        spaces = len(rest) - len(rest.lstrip(" "))
        return spaces >= inside + _CODE_INDENT and not isinstance(self._block, Prose) and not _ITEM.match(rest)

    def _whole(self, line: str, width: int) -> None:
        """Take a whole line that did not flow: of code or a table, or one that only its end tells."""
        if self._goes_on(line, width):
            return
        bare = line.lstrip("> ").rstrip()
        if not bare:
            self._close(width)
            self._after_blank = True
        elif _RULE.fullmatch(bare) or _SETEXT.fullmatch(bare):
            self._rule(bare, width)
        elif self._is_indented(line):
            self._indented(line, width)
        else:
            self._special(line, width)

    def _goes_on(self, line: str, width: int) -> bool:
        """Give the line to the code or the table that is open; tell whether it took it."""
        block = self._block
        if isinstance(block, Code):
            line = line.removeprefix("> " * self._quotes)
            if block.closes_with(line):
                self._close(width)
            elif not block.is_fenced and line.strip() and not line.startswith(" " * _CODE_INDENT):
                self._close(width)
                self._after_blank = True
                return False
            else:
                block.add(line, width)
            return True
        if isinstance(block, Rows):
            bare = line.lstrip("> ")
            if bare.startswith("|") if block.table else is_delimiter(bare):
                block.add(bare)
                return True
            self._close(width)
        return False

    def _rule(self, bare: str, width: int) -> None:
        from rich.text import Text

        follows_words = isinstance(self._block, Prose)
        self._close(width)
        if bare[0] != "=" or not follows_words:
            self._items = []
            self._begin("rule")
            self._out.append(Text.assemble(("─" * width, "dim")))

    def _indented(self, line: str, width: int) -> None:
        self._close(width)
        self._begin("code")
        code = Code(self._prefix(), "", "", _CODE_INDENT)
        code.add(line, width)
        self._block = code

    def _special(self, line: str, width: int) -> None:
        """Take a line whose content is a fence, a table's or words after all."""
        rest, first, is_item = self._containers(line)
        fence = _FENCE.fullmatch(rest)
        if fence is None and not rest.startswith("|"):
            self._words(line, width, whole=True)
            return
        self._close(width)
        self._begin("item" if is_item else "code")
        if is_item:
            self._out.append(first)
        if fence is not None:
            language = (fence[2] or fence[4] or "").strip().split(" ")[0].strip("{}")
            indent = len(line) - len(line.lstrip(" "))
            self._block = Code(self._prefix(), language, fence[1] or fence[3], indent)
        else:
            self._block = Rows(self._prefix(), rest)

    def _words(self, line: str, width: int, *, whole: bool = False) -> None:
        """Put words into the open paragraph, or into one of their own; a heading is one."""
        had, quotes = list(self._items), self._quotes
        rest, first, is_item = self._containers(line)
        heading = _HEADING.match(rest)
        if isinstance(self._block, Prose) and not is_item and heading is None and self._quotes <= quotes:
            self._items = had
            self._block.feed(rest + "\n" * whole)
            return
        self._close(width)
        self._begin("item" if is_item else "heading" if heading else "words")
        style = _HEADING_STYLES[len(heading[1]) > 1] if heading else ""
        self._block = prose = Prose(first, self._prefix(), style)
        self._closes_at_end = heading is not None
        prose.feed(rest[heading.end() :] if heading else rest)
        if whole:
            self._close(width) if heading else prose.feed("\n")

    # -- what blocks stand in ----------------------------------------------------------------------------------------

    def _containers(self, line: str) -> tuple[str, Text, bool]:
        """Open and close quotes and lists; return the content, what stands before it, and whether that is a mark."""
        from rich.text import Text

        quoted = _QUOTES.match(line)
        marks = quoted.group() if quoted else ""
        rest = line[len(marks) :].expandtabs(4)
        quotes = marks.count(">")
        if quotes != self._quotes and (quotes or not isinstance(self._block, Prose)):
            self._quotes, self._items = quotes, []
        first, is_item, column = None, False, 0
        while (item := _ITEM.match(rest)) is not None:
            mark = column + len(item[1])
            self._leave(mark, is_mark=True)
            first = first or self._prefix()
            first = first + Text(_shown_mark(item[2]))
            self._items.append(_Item(mark, column + item.end(), cells(first.plain) - 2 * self._quotes))
            is_item, column, rest = True, column + item.end(), rest[item.end() :]
        if not is_item:
            self._leave(len(rest) - len(rest.lstrip(" ")), is_mark=False)
            return rest.lstrip(" "), self._prefix(), False
        task = _TASK.match(rest)
        box = Text({" ": "☐ "}.get(task[1], "☑ ")) if task else Text("")
        return rest[task.end() :] if task else rest, (first or Text("")) + box, True

    def _leave(self, column: int, *, is_mark: bool) -> None:
        """Close the items that a line does not belong to which begins in ``column``."""
        while self._items:
            item = self._items[-1]
            if column >= item.text or (is_mark and column >= item.mark + 2):
                return
            self._items.pop()

    def _prefix(self) -> Text:
        from rich.text import Text

        return Text.assemble(("▌ " * self._quotes, "dim"), " " * (self._items[-1].shown if self._items else 0))

    # -- blocks ------------------------------------------------------------------------------------------------------

    def _begin(self, kind: str) -> None:
        """Leave a blank line before a block, but not between the lines of a list that has none."""
        from rich.text import Text

        is_in_list = kind == "item" or bool(self._items)
        if self._has_begun and (self._after_blank or not (is_in_list and self._was_in_list)):
            self._out.append(Text(""))
        self._has_begun, self._after_blank, self._was_in_list = True, False, is_in_list

    def _close(self, width: int) -> None:
        if self._block is not None:
            self._out += self._block.close(width)
            self._block = None

    def _taken(self) -> list[Text]:
        out, self._out = self._out, []
        return out


def _shown_mark(mark: str) -> str:
    return "• " if mark in "-*+" else f"{mark} "
