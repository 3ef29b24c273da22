"""Ctrl-R through ten thousand earlier lines between two keys: prompt-toolkit's own search takes a third of a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.search import SearchDirection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prompt_toolkit.search import SearchState


class SearchedBuffer(Buffer):
    """prompt-toolkit's buffer; what it finds is the same, letter for letter."""

    def _search(
        self, search_state: SearchState, include_current_position: bool = False, count: int = 1
    ) -> tuple[int, int] | None:
        """Return which of the lines holds the text next, and where; None where none does."""
        lines, found = list(self._working_lines), (self.working_index, self.cursor_position)
        for _ in range(count):
            if search_state.direction == SearchDirection.FORWARD:
                step = _forward(lines, found, search_state.text, 0 if include_current_position else 1)
            else:
                step = _backward(lines, found, search_state.text)
            if step is None:
                return None
            found = step
        return found


def _forward(lines: Sequence[str], start: tuple[int, int], text: str, skips: int) -> tuple[int, int] | None:
    """Search from a place on, then in the later lines, and at last in the first one, as the keys go round."""
    which, place = start
    at = lines[which].find(text, place + skips)
    if at >= 0:
        return which, at
    later = (number % len(lines) for number in range(which + 1, len(lines) + 1))
    return next(((number, lines[number].find(text)) for number in later if text in lines[number]), None)


def _backward(lines: Sequence[str], start: tuple[int, int], text: str) -> tuple[int, int] | None:
    """Search before a place, then in the earlier lines, and at last in the newest one."""
    which, place = start
    at = lines[which].rfind(text, 0, place)
    if at >= 0:
        return which, at
    earlier = (number % len(lines) for number in range(which - 1, -2, -1))
    return next(((number, lines[number].rfind(text)) for number in earlier if text in lines[number]), None)
