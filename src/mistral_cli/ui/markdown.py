"""Markdown as it streams: a block is rendered once, when the next one has begun. Never hands text to Rich's markup."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mistral_cli.text.sanitize import Sanitizer, sanitize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mistral_cli.ui.console import Console


@dataclass(slots=True, kw_only=True)
class MarkdownWriter:
    """Takes an answer piece by piece and prints each finished block; cost is linear in the answer."""

    console: Console
    _open: str = ""
    _parsed: int = 0
    """Length of the open text when it was last looked at."""
    _begun: bool = False
    _sanitizer: Sanitizer = field(default_factory=Sanitizer)

    def push(self, text: str) -> None:
        """Take the next piece and print the blocks that it finished."""
        self._open += self._sanitizer.push(text)
        if "\n" in text and len(self._open) >= 1.25 * self._parsed:  # or a long block is parsed at each line
            *finished, self._open = _blocks(self._open)
            self._show(finished)
            self._parsed = len(self._open)

    def finish(self) -> None:
        """Print the rest."""
        self._show(_blocks(self._open))
        self._open = ""

    def _show(self, blocks: list[str]) -> None:
        """Print each block with a blank line before it, whether they came together or one by one."""
        out = self.console.out
        for block in blocks:
            rendered = render(block, columns=out.columns, color=out.color)
            if rendered:
                self.console.rendered(("\n" if self._begun else "") + rendered)
                self._begun = True


def _parse(text: str) -> list[Any]:
    from markdown_it import MarkdownIt

    return MarkdownIt().enable("strikethrough").enable("table").parse(text)


def _blocks(text: str) -> list[str]:
    """Cut Markdown into its outermost blocks, every line in one of them; at least one."""
    starts = [token.map[0] for token in _parse(text) if token.level == 0 and token.map and token.nesting >= 0]
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    edges = [0, *starts[1:], len(lines)]
    return ["".join(lines[start:end]) for start, end in itertools.pairwise(edges)]


def first_code_block(text: str) -> str | None:
    """Return what stands in the first fenced code block, or None where there is none (CommonMark, section 4.5)."""
    return next((token.content for token in _parse(text) if token.type == "fence"), None)


def render(text: str, *, columns: int, color: bool) -> str:
    """Return Markdown laid out for a terminal, safe to print, ending in a newline; empty where nothing shows."""
    from rich.console import Console as RichConsole
    from rich.markdown import Markdown

    page = io.StringIO()
    rich = RichConsole(
        file=page,
        width=columns,
        force_terminal=color,
        color_system="auto" if color else None,
        no_color=not color,
        markup=False,
        highlight=False,
        emoji=False,
    )
    rich.print(_Safe(Markdown(text, hyperlinks=False)))
    laid_out = "\n".join(line.rstrip(" ") for line in page.getvalue().split("\n")).strip("\n")  # Rich pads its lines
    return laid_out + "\n" if laid_out.strip() else ""


@dataclass(frozen=True, slots=True)
class _Safe:
    """A rendered page with every piece made safe: entities such as ``&#x202E;`` become characters only in Rich."""

    page: Any

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.segment import Segment

        for segment in console.render(self.page, options):
            if not segment.control:
                yield Segment(sanitize(segment.text), segment.style)
