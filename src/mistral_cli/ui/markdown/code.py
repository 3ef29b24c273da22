"""Lines of code, highlighted one by one as they come. Knows no Markdown and no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mistral_cli.text.sanitize import sanitize

if TYPE_CHECKING:
    from rich.text import Text

_THEME = "ansi_dark"
_REMEMBERED = 16
"""Lines before the one that is highlighted which the highlighter reads again, so that the cost of a line is bounded."""


class Highlighter:
    """Highlights one block; a line's colours depend on the lines before it, never on those after.

    Args:
        language: as a fence names it; unknown or empty gives plain text.
    """

    def __init__(self, language: str) -> None:
        self._lexer = _lexer(language)
        self._before: list[str] = []

    def line(self, line: str) -> Text:
        """Return the next line, without its newline."""
        from rich.text import Text

        if self._lexer is None:
            return Text(line)
        text = self._highlight(line)
        self._remember(line)
        return text

    def _highlight(self, line: str) -> Text:
        from rich.syntax import ANSISyntaxTheme, Syntax
        from rich.text import Text

        theme: ANSISyntaxTheme = Syntax.get_theme(_THEME)  # type: ignore[assignment]
        text = Text()
        skip = sum(len(before) + 1 for before in self._before)
        source = "".join(before + "\n" for before in (*self._before, line))
        for kind, piece in self._lexer.get_tokens(source):
            shown, skip = piece[skip:], max(skip - len(piece), 0)
            text.append(shown.replace("\n", ""), theme.get_style_for_token(kind))
        # A lexer may change what it reads (entities, line ends); what is shown must be what was said.
        return text if text.plain == line else Text(line)

    def _remember(self, line: str) -> None:
        """Keep the line for those after it; one that begins at the margin needs none before it, or nearly so."""
        begins_anew = line[:1].isalpha() and not any(mark in "".join(self._before) for mark in ('"""', "'''", "/*"))
        self._before = [line] if begins_anew else [*self._before[1 - _REMEMBERED :], line]


def _lexer(language: str) -> Any:
    from rich.syntax import Syntax

    return Syntax("", sanitize(language), tab_size=0).lexer if language else None
