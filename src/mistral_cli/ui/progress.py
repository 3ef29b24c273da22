"""Bars for long work: what is done of how much, how long it will still take. Know no model."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mistral_cli.ui.console import Console

PATIENCE = 0.5
"""Seconds without a bar: what is over by then needs none."""

_BETWEEN = 0.1
"""Seconds from one drawing to the next."""

_WIDTH = 30
_LEAST_WIDTH = 5

_ROOMY = 60
"""Columns from which a line of steps has room for its label."""

_LINES = 20
"""How many lines a log gets of work that counts steps, about."""


@dataclass(slots=True, kw_only=True)
class ByteBar:
    """Shows the status line of one piece of work; nothing where the console shows none."""

    console: Console
    label: str
    clock: Callable[[], float] = time.monotonic
    begun: float = field(init=False)
    drawn: float = field(init=False)

    def __post_init__(self) -> None:
        """Take the time: now the work begins."""
        self.begun = self.drawn = self.clock()

    def update(self, done: int, total: int) -> None:
        """Take note that ``done`` bytes of ``total`` are done."""
        now = self.clock()
        if now - self.begun < PATIENCE or now - self.drawn < _BETWEEN:
            return
        self.drawn = now
        seconds = (now - self.begun) * (total - done) / done if done else 0.0
        self.console.status(_line(self.label, done, total, seconds, self.console.err.columns))


def _line(label: str, done: int, total: int, seconds: float, columns: int) -> str:
    """Return the line: a bar where there is room, and as many of the facts as there is room for."""
    share = done / total if total else 1.0
    size, left = _of(done, total), f"{time_left(seconds)} left"
    facts = f"{share:4.0%}  {size}  {left}"
    bar = _bar(share, columns - len(label) - len(facts) - 6)
    if bar:
        return f"{label}  {bar}  {facts}"
    shorter = (facts, f"{share:4.0%}  {left}", f"{share:4.0%}")
    return f"{label}  " + next((text for text in shorter if len(label) + len(text) + 3 <= columns), shorter[-1])


def _of(done: int, total: int) -> str:
    unit, name = (1e9, "GB") if total >= 1e9 else (1e6, "MB")
    return f"{done / unit:.1f} of {total / unit:.1f} {name}"


def _bar(share: float, room: int) -> str:
    """Return a bar of ``room`` cells at most; nothing where there are too few."""
    width = min(_WIDTH, room)
    full = int(share * width)
    return f"{'━' * full}{'─' * (width - full)}" if width >= _LEAST_WIDTH else ""


def time_left(seconds: float) -> str:
    """Return a time for people: ``80 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


@dataclass(slots=True, kw_only=True)
class StepBar:
    """Shows the status line of work that counts steps; some lines of a log where a line cannot be drawn again."""

    console: Console
    label: str

    def update(self, done: int, total: int, facts: Sequence[str]) -> None:
        """Take note that ``done`` steps of ``total`` are done; of ``facts`` those that come first are wanted most."""
        err = self.console.err
        if err.can_redraw:
            self.console.status(_steps_line(self.label, done, total, facts, err.columns))
        elif done in (1, total) or not done % max(total // _LINES, 1):
            self.console.notice("  ".join([f"{self.label} {done:,}/{total:,}", *facts]))


def _steps_line(label: str, done: int, total: int, facts: Sequence[str], columns: int) -> str:
    """Return the line: the label and a bar where there is room, and as many of the facts as there is room for."""
    first = [label] if columns >= _ROOMY else []
    count = f"{done:,}/{total:,}"
    lines = ("  ".join([*first, count, *facts[:number]]) for number in range(len(facts), -1, -1))
    line = next((text for text in lines if len(text) < columns), count)
    bar = _bar(done / total if total else 1.0, columns - len(line) - 3)
    return line.replace(count, f"{bar}  {count}", 1) if bar else line
