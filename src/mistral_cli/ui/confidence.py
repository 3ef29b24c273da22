"""An answer with each token tinted by its probability: four steps that the colour-blind tell apart, and a legend."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from mistral_cli.text.sanitize import Sanitizer
from mistral_cli.ui.wrap import Wrapper, breaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistral_cli.chat.turn import Turn
    from mistral_cli.contract import TextDelta
    from mistral_cli.ui.console import Console


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


def confidence(turn: Turn, *, is_terminal: bool, color: bool, can_style: bool, columns: int | None = None) -> str:
    """Return the answer tinted, safe to print, and a legend; where nothing can be tinted, each token's probability.

    Args:
        turn: whose tokens are known.
        is_terminal: whether the text must be made safe.
        color: whether colours are wanted.
        can_style: whether the terminal knows more than text.
        columns: the terminal's, to break lines at words; None: they are left as they are.
    """
    safe = Sanitizer()
    read = safe.push if is_terminal else str
    if not color and not can_style:
        lines = [f"{_percent(token.logprob):>6}  {read(token.text)!r}" for token in turn.tokens]
        return "\n".join(lines) + "\n"
    shown = _broken([read(token.text) for token in turn.tokens], columns)
    steps_of = (_step(token.logprob) for token in turn.tokens)
    tinted = "".join(_styled(text, step, color=color) for text, step in zip(shown, steps_of, strict=True))
    steps = (*_STEPS, _UNKNOWN) if any(token.logprob is None for token in turn.tokens) else _STEPS
    return f"{tinted.rstrip()}\n\n{_legend(steps, color=color, columns=columns)}\n"


def _legend(steps: Sequence[_Step], *, color: bool, columns: int | None) -> str:
    parts = [part for step in steps for part in ((" · ", _STEPS[0]), (step.legend, step))][1:]
    words = _broken([text for text, _ in parts], columns)
    return "".join(_styled(text, step, color=color) for text, (_, step) in zip(words, parts, strict=True))


def _broken(texts: list[str], columns: int | None) -> list[str]:
    """Return texts that follow each other with a newline in place of the spaces wherever a line of all of them ends."""
    whole = "".join(texts)
    chars = list(whole)
    for offset in breaks(whole, columns) if columns else ():
        if whole[offset - 1] != "\n":
            start = offset
            while start and whole[start - 1] == " ":
                start -= 1
            chars[start:offset] = [""] * (offset - start)
            chars[offset] = f"\n{chars[offset]}"
    ends = list(itertools.accumulate(map(len, texts), initial=0))
    return ["".join(chars[begin:end]) for begin, end in itertools.pairwise(ends)]


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


@dataclass(slots=True)
class TintedWriter:
    """Shows an answer tinted while it comes, wrapped at words on a terminal, and then the legend on stderr."""

    console: Console
    _safe: Sanitizer = field(default_factory=Sanitizer)
    _wrapper: Wrapper = field(init=False)
    _least: float | None = None
    """The log-probability of the least sure token that the next text is of."""
    _is_known: bool = True
    """Whether all that was shown so far was drawn."""
    _begun: bool = False

    def __post_init__(self) -> None:
        """Begin at the first column."""
        self._wrapper = Wrapper(self.console.out.can_redraw)

    def push(self, delta: TextDelta) -> None:
        """Show the next piece."""
        sure = [token.logprob for token in delta.tokens if token.logprob is not None]
        self._least = min([*sure, *([] if self._least is None else [self._least])], default=None)
        if not delta.text:
            return  # half a character: the next piece is of these tokens, too
        self._begun = True
        self._is_known = self._is_known and self._least is not None
        out = self.console.out
        text = self._safe.push(delta.text) if out.is_terminal else delta.text
        paint = partial(_styled, step=_step(self._least), color=out.color)
        self.console.rendered(self._wrapper.push(text, out.columns, paint) if out.is_terminal else paint(text))
        self._least = None

    def finish(self) -> None:
        """End the line, if there is one, and tell what the tints mean."""
        if not self._begun:
            return
        self.console.rendered(self._wrapper.finish() + "\n")
        err = self.console.err
        if err.is_terminal:
            steps = _STEPS if self._is_known else (*_STEPS, _UNKNOWN)
            self.console.laid_out(_legend(steps, color=err.color, columns=err.columns))
