"""How an answer gets onto stdout: rendered, wrapped at words, or as it is. Knows no model and no turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from mistral_cli.text.sanitize import Sanitizer
from mistral_cli.ui.wrap import Wrapper

if TYPE_CHECKING:
    from mistral_cli.ui.console import Console

_LEAST_ROWS = 3
"""A screen of fewer rows has no room for anything that is drawn again."""


class AnswerWriter(Protocol):
    """Takes one answer piece by piece."""

    def push(self, text: str) -> None:
        """Show the next piece; it is on the screen when this returns."""
        ...

    def finish(self) -> None:
        """Show what was held back; the cursor stands on a line of its own."""
        ...


@dataclass(slots=True)
class Direct:
    """The answer as it is, safe for a terminal, byte for byte anywhere else."""

    console: Console
    _begun: bool = False

    def push(self, text: str) -> None:
        """Write the next piece."""
        if text:
            self._begun = True
            self.console.answer(text)

    def finish(self) -> None:
        """End the line, if there is one."""
        if self._begun:
            self.console.answer("\n")


@dataclass(slots=True)
class Wrapped:
    """The answer as it is, but no word broken at the edge of the terminal."""

    console: Console
    _sanitizer: Sanitizer = field(default_factory=Sanitizer)
    _wrapper: Wrapper = field(init=False)
    _begun: bool = False

    def __post_init__(self) -> None:
        """Begin at the first column."""
        self._wrapper = Wrapper(self.console.out.can_redraw)

    def push(self, text: str) -> None:
        """Write the next piece."""
        if text:
            self._begun = True
            self.console.rendered(self._wrapper.push(self._sanitizer.push(text), self.console.out.columns))

    def finish(self) -> None:
        """End the line, if there is one."""
        if self._begun:
            self.console.rendered(self._wrapper.finish() + "\n")


def open_writer(console: Console, *, plain: bool = False) -> AnswerWriter:
    """Return what shows an answer on this stdout: rendered, unless ``plain`` is asked or all the terminal can."""
    out = console.out
    if not out.is_terminal:
        return Direct(console)
    if plain or not out.can_redraw or out.rows < _LEAST_ROWS:
        return Wrapped(console)
    from mistral_cli.ui.markdown.writer import MarkdownWriter

    return MarkdownWriter(console=console)
