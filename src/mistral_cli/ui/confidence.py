"""An answer with each token tinted by its probability: four steps that the colour-blind tell apart, and a legend."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from mistral_cli.text.sanitize import Sanitizer

if TYPE_CHECKING:
    from mistral_cli.chat.turn import Turn


class _Step(NamedTuple):
    """Tokens of at least ``least`` probability and how they look."""

    least: float
    legend: str
    color: str
    plain: str


# Blue against orange is told apart by all; the surest look as they always do. Without colour: lines under the words.
_STEPS = (
    _Step(0.9, "90 % or more", "", ""),
    _Step(0.6, "60 to 90 %", "38;5;75", ""),
    _Step(0.3, "30 to 60 %", "38;5;214", "4"),
    _Step(0.0, "below 30 %", "1;4;38;5;208", "1;4"),
)
_UNKNOWN = _Step(0.0, "not drawn", "2", "2")


def confidence(turn: Turn, *, is_terminal: bool, color: bool, can_style: bool) -> str:
    """Return the answer tinted, safe to print, and a legend; where nothing can be tinted, each token's probability.

    Args:
        turn: whose tokens are known.
        is_terminal: whether the text must be made safe.
        color: whether colours are wanted.
        can_style: whether the terminal knows more than text.
    """
    safe = Sanitizer()
    read = safe.push if is_terminal else str
    if not color and not can_style:
        lines = [f"{_percent(token.logprob):>6}  {read(token.text)!r}" for token in turn.tokens]
        return "\n".join(lines) + "\n"
    tinted = "".join(_styled(read(token.text), _step(token.logprob), color=color) for token in turn.tokens)
    steps = (*_STEPS, _UNKNOWN) if any(token.logprob is None for token in turn.tokens) else _STEPS
    legend = " · ".join(_styled(step.legend, step, color=color) for step in steps)
    return f"{tinted}\n\n{legend}\n"


def _percent(logprob: float | None) -> str:
    return "-" if logprob is None else f"{math.exp(logprob):.1%}"


def _step(logprob: float | None) -> _Step:
    if logprob is None:
        return _UNKNOWN
    return next(step for step in _STEPS if math.exp(logprob) >= step.least)


def _styled(text: str, step: _Step, *, color: bool) -> str:
    """Style each line by itself: a style that runs over a line's end tints the rest of the row on some terminals."""
    codes = step.color if color else step.plain
    if not codes:
        return text
    return "\n".join(f"\x1b[{codes}m{line}\x1b[0m" if line else "" for line in text.split("\n"))
