"""Words of Markdown into styled text, piece by piece: what of them cannot change any more, and how the rest looks now.

Knows no blocks and no terminal. Text never reaches Rich's markup, and links are text with their address beside it.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from mistral_cli.text.sanitize import sanitize

if TYPE_CHECKING:
    from rich.text import Text

_STYLES = {"strong": "bold", "em": "italic", "s": "strike", "link": "underline"}
_CODE = "cyan"
_ADDRESS = "dim"
_SPECIAL = re.compile(r"[\\`*_~\[\]!<&\n]")
_MARK = re.compile(r"\\.|`+|\*+|_+|~~|[\[\]]|\s+", re.DOTALL)
_TRAILING = re.compile(r"[*_~`\s]+$")


def unchanging(source: str) -> tuple[int, list[str]]:
    """Return how much of ``source`` means the same whatever follows, and the marks that are open at its end.

    The first is an offset after a space: words up to there stand outside of every emphasis, code and link that is open.
    """
    opened: list[str] = []
    cut = at = 0
    while (match := _MARK.search(source, at)) is not None:
        mark, at = match.group(), match.end()
        if mark.isspace():
            cut = at if not opened and at < len(source) else cut
        elif mark[0] == "`":
            close = re.compile(rf"(?<!`){mark}(?!`)").search(source, at)
            if close is None:
                return cut, [*opened, mark]
            at = close.end()
        elif mark in "[]":
            at = _bracket(mark, opened, source, at)
        elif mark[0] != "\\":
            _emphasis(mark, opened, source[match.start() - 1 : match.start()], source[at : at + 1])
    return cut, opened


def _bracket(mark: str, opened: list[str], source: str, at: int) -> int:
    """Open or close a bracket; return the offset after the address behind it."""
    if mark == "[":
        opened.append(mark)
    elif "[" in opened:
        del opened[len(opened) - 1 - opened[::-1].index("[") :]
        if source.startswith("(", at):
            end = source.find(")", at)
            opened.extend(["("] if end < 0 else [])
            return end + 1 or len(source)
    return at


def _emphasis(mark: str, opened: list[str], before: str, after: str) -> None:
    """Open or close emphasis, as a run of marks between two characters does (CommonMark, section 6.2)."""
    inside = mark[0] == "_"
    closes = bool(before.strip()) and not (inside and after.isalnum())
    opens = bool(after.strip()) and not (inside and before.isalnum())
    left = len(mark)
    while closes and left and any(other[0] == mark[0] for other in opened):
        while opened[-1][0] != mark[0]:
            opened.pop()
        other = opened.pop()
        if len(other) > left:
            opened.append(other[left:])
        left -= min(left, len(other))
    if left and opens:
        opened.append(mark[:left])


def render(source: str) -> Text:
    """Return words of Markdown as styled text; a newline in it is a hard break."""
    from rich.text import Text

    text = Text()
    if not _SPECIAL.search(source):
        text.append(source)
        return text
    styles: list[str] = []
    links: list[tuple[str, int]] = []
    for token in _parser().parseInline(source)[0].children or []:
        kind = token.type.rpartition("_")[0]
        if token.nesting > 0:
            styles.append(_STYLES.get(kind, ""))
            links.extend([(str(token.attrs.get("href", "")), len(text))] if kind == "link" else [])
        elif token.nesting < 0:
            styles.pop()
            if kind == "link":
                _add_address(text, *links.pop())
        else:
            text.append(*_leaf(token, styles))
    return text


def render_begun(source: str) -> Text:
    """Return the words at the end of a text that is still being written, as if its open marks were closed."""
    bare = _TRAILING.sub("", source)
    _, opened = unchanging(bare)
    closing = "".join(mark for mark in reversed(opened) if mark not in ("[", "("))
    return render(bare + closing + source[len(source.rstrip()) :])


def _leaf(token: Any, styles: list[str]) -> tuple[str, str]:
    style = " ".join(filter(None, styles))
    if token.type == "code_inline":
        return sanitize(token.content), f"{style} {_CODE}".strip()
    if token.type == "image":
        return sanitize(f"{token.content} ({unquote(str(token.attrs.get('src', '')))})").strip(), style
    breaks = {"softbreak": " ", "hardbreak": "\n"}
    return breaks.get(token.type) or sanitize(token.content), style


def _add_address(text: Text, address: str, start: int) -> None:
    shown = text.plain[start:]
    plain = unquote(address).removeprefix("mailto:")
    if shown not in (plain, address) and address:
        text.append(f" ({sanitize(plain)})", _ADDRESS)


@functools.cache
def _parser() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("strikethrough")
