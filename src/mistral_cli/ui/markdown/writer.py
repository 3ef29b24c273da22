"""An answer in Markdown on the screen while it streams: what is settled is printed once, only its end is drawn again.

The cost is linear in the answer. Nothing is kept that was printed: what is stored is what the model said.
"""

from __future__ import annotations

import io
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mistral_cli.text.sanitize import Sanitizer
from mistral_cli.ui.live import Line, LiveRegion, reflows
from mistral_cli.ui.markdown.layout import Layout
from mistral_cli.ui.wrap import cells

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console as RichConsole
    from rich.text import Text

    from mistral_cli.ui.console import Console

_SHARE = 0.05
"""Of the time that goes by, for drawing what is not settled."""
_ALLOWANCE = 0.02
"""Seconds of drawing before any time has gone by."""
_FEW = 4
"""Lines that are always drawn again: more are a table, whose drawing is worth a moment's wait."""
_LEAST_ROWS = 3
_LONGEST = 2.0
"""Seconds that the end of an answer waits for a window that is being resized and resized."""
_STILL = 0.35
"""Seconds after a resize until the terminal's size is taken for its last: tmux tells of those that follow at once by
0.25 seconds late, and what was drawn cannot be erased by one who does not know where it stands now."""


@dataclass(slots=True, kw_only=True)
class MarkdownWriter:
    """Takes an answer piece by piece."""

    console: Console
    clock: Callable[[], float] = time.perf_counter
    _layout: Layout = field(default_factory=Layout)
    _sanitizer: Sanitizer = field(default_factory=Sanitizer)
    _region: LiveRegion = field(init=False)
    _rich: RichConsole = field(init=False)
    _begun: float = field(init=False)
    _spent: float = 0.0
    _tall: int = 0
    """Lines of the last drawing."""
    _size: tuple[int, int] = field(init=False)
    _resized: float | None = None
    """When the size was last seen to change, while it may go on to."""
    _waiting: str = ""
    """What came meanwhile."""

    def __post_init__(self) -> None:
        """Take the place on the screen below what is there."""
        self._region = LiveRegion(console=self.console, wraps_anew=reflows(os.environ))
        self._rich = _painter(color=self.console.out.color)
        self._begun = self.clock()
        self._size = self.console.out.columns, self.console.out.rows

    def push(self, text: str) -> None:
        """Take the next piece and show it."""
        text, self._waiting = self._waiting + text, ""
        if not text:
            return
        if self._is_moving():
            self._waiting = text
            return
        self._take(text)

    def _take(self, text: str) -> None:
        self.console.hide_live = self._hide
        if self._region.is_out_of_reach() and not self._layout.only_grows(self.console.out.columns):
            self._region.keep(len(self._layout.cut(self._region.columns)))
        settled = self._layout.feed(self._sanitizer.push(text), self.console.out.columns)
        now = self.clock()
        if settled or self._tall <= _FEW or self._spent <= _SHARE * (now - self._begun) + _ALLOWANCE:
            self._show(settled)
            self._spent += self.clock() - now

    def _is_moving(self) -> bool:
        """Tell whether the window is being resized just now."""
        size = self.console.out.columns, self.console.out.rows
        if size != self._size:
            self._size, self._resized = size, self.clock()
        if self._resized is not None and self.clock() - self._resized >= _STILL:
            self._resized = None
        return self._resized is not None

    def finish(self) -> None:
        """Show the rest for good; the cursor stands on a line of its own."""
        until = time.monotonic() + _LONGEST
        while self._is_moving() and time.monotonic() < until:
            time.sleep(0.02)
        if self._waiting:
            self._take(self._waiting)
        self._region.show(self._paint(self._layout.finish(self.console.out.columns)), [])
        self.console.hide_live = None

    def _show(self, settled: list[Text]) -> None:
        out = self.console.out
        live = self._layout.live(out.columns) if out.can_redraw and out.rows >= _LEAST_ROWS else []
        if len(live) > out.rows - 2:
            settled = settled + self._layout.cut(out.columns)
            live = self._layout.live(out.columns)
        self._tall = len(live)
        self._region.show(self._paint(settled), self._paint(live))

    def _hide(self) -> None:
        """Make room for a notice: what is not settled is drawn again below it."""
        self.console.hide_live = None
        self._region.show([], [])

    def _paint(self, lines: list[Text]) -> list[Line]:
        return [Line(paint(line, self._rich), cells(line.plain)) for line in lines]


def render(text: str, *, columns: int, color: bool) -> str:
    """Return Markdown laid out for a terminal, safe to print, ending in a newline; empty where nothing shows."""
    layout, rich = Layout(), _painter(color=color)
    lines = layout.feed(Sanitizer().push(text), columns) + layout.finish(columns)
    return "".join(paint(line, rich) + "\n" for line in lines)


def paint(line: Text, rich: RichConsole) -> str:
    """Return one line with its colours as escapes."""
    from rich.console import COLOR_SYSTEMS

    system = COLOR_SYSTEMS.get(rich.color_system or "")
    if system is None:
        return line.plain
    parts = line.render(rich)
    return "".join(part.style.render(part.text, color_system=system) if part.style else part.text for part in parts)


def _painter(*, color: bool) -> RichConsole:
    from rich.console import Console as RichConsole

    return RichConsole(file=io.StringIO(), force_terminal=color, color_system="auto" if color else None)
