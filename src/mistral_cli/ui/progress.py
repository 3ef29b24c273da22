"""A bar for long work that counts bytes: what is done, what there is, how long it will still take. Knows no model."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.ui.console import Console

PATIENCE = 0.5
"""Seconds without a bar: what is over by then needs none."""

_BETWEEN = 0.1
"""Seconds from one drawing to the next."""

_WIDTH = 30


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
    size, left = _of(done, total), f"{_left(seconds)} left"
    facts = f"{share:4.0%}  {size}  {left}"
    width = min(_WIDTH, columns - len(label) - len(facts) - 6)
    if width >= 5:
        full = int(share * width)
        return f"{label}  {'━' * full}{'─' * (width - full)}  {facts}"
    shorter = (facts, f"{share:4.0%}  {left}", f"{share:4.0%}")
    return f"{label}  " + next((text for text in shorter if len(label) + len(text) + 3 <= columns), shorter[-1])


def _of(done: int, total: int) -> str:
    unit, name = (1e9, "GB") if total >= 1e9 else (1e6, "MB")
    return f"{done / unit:.1f} of {total / unit:.1f} {name}"


def _left(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
