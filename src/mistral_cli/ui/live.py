"""The part of the screen that is drawn again: lines below those that are for good, erased where they really stand now.

Lines that were drawn stay one row each only while the terminal keeps its width: most terminals wrap them anew when it
shrinks, and what has scrolled off the top cannot be erased. Knows no text, only painted lines and their widths.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mistral_cli.ui.console import Console


class Line(NamedTuple):
    """One line: its bytes with colours, and how many cells it takes."""

    painted: str
    width: int


_EMPTY = Line("", 0)


def reflows(environ: Mapping[str, str]) -> bool:
    """Tell whether the terminal wraps old lines anew when its width changes: all but xterm and screen do."""
    return "TMUX" in environ or not ("XTERM_VERSION" in environ or "STY" in environ)


@dataclass(slots=True, kw_only=True)
class LiveRegion:
    """What of stdout can still be changed."""

    console: Console
    wraps_anew: bool = True
    _shown: list[Line] = field(default_factory=lambda: [_EMPTY])
    """What is on the screen and not for good; the cursor stands behind the last one."""
    columns: int = 0
    """The width for which they were drawn."""

    def show(self, settled: Sequence[Line], live: Sequence[Line]) -> None:
        """Put ``settled`` where the live lines were, for good, and ``live`` below."""
        lines = [*settled, *(live or [_EMPTY])]
        same = _same_lines(self._shown, lines)
        if same == len(self._shown):  # all that is there stays: the rest of its last line, and what follows
            tail = lines[same - 1].painted[len(self._shown[-1].painted) :]
            text = "\n".join([tail, *(line.painted for line in lines[same:])])
        else:
            text = self._erasing(same) + "\n".join(line.painted for line in lines[same:])
        if text:
            self.console.rendered(text)
        self._shown = list(live) or [_EMPTY]
        self.columns = self.console.out.columns

    def is_out_of_reach(self) -> bool:
        """Tell whether a part of the live lines has scrolled off the top, since the window was made smaller."""
        return sum(map(self._rows, self._shown)) > self.console.out.rows

    def keep(self, count: int) -> None:
        """Leave the first ``count`` live lines on the screen for good."""
        kept = self._shown[:count]
        self.show(kept, [])

    def _erasing(self, same: int) -> str:
        """Return what erases all live lines but the first ``same``."""
        up = sum(self._rows(line) for line in self._shown[same:]) - 1
        return "\r" + (f"\x1b[{up}A" if up else "") + "\x1b[J"

    def _rows(self, line: Line) -> int:
        columns = self.console.out.columns if self.wraps_anew else self.columns
        return max(-(-line.width // max(columns, 1)), 1)


def _same_lines(old: Sequence[Line], new: Sequence[Line]) -> int:
    """Return how many of the old lines stay as they are; the last of them may go on."""
    same = 0
    for before, after in zip(old, new, strict=False):
        if before.painted.rstrip() != after.painted.rstrip():
            is_last = same == len(old) - 1
            return same + (is_last and after.painted.startswith(before.painted))
        same += 1
    return same
