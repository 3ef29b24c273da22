"""Ten thousand earlier lines: searched and suggested between two keys, and found as prompt-toolkit finds them."""

from __future__ import annotations

import random
from collections import deque

import pytest
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.search import SearchDirection, SearchState

from mistral_cli.ui.keyboard.search import SearchedBuffer


def holding(kind: type[Buffer], lines: list[str], which: int, place: int) -> Buffer:
    buffer = kind()
    buffer._working_lines = deque(lines)
    buffer.working_index = which
    buffer.cursor_position = place
    return buffer


@pytest.mark.parametrize("direction", list(SearchDirection))
@pytest.mark.parametrize("include", [True, False])
def test_what_is_found_is_what_prompt_toolkit_finds(direction: SearchDirection, include: bool) -> None:
    chance = random.Random(5)
    for _ in range(300):
        lines = ["".join(chance.choices("ab\n", k=chance.randrange(6))) for _ in range(chance.randrange(1, 6))]
        which = chance.randrange(len(lines))
        place = chance.randrange(len(lines[which]) + 1)
        state = SearchState("".join(chance.choices("ab", k=chance.randrange(1, 3))), direction)
        count = chance.randrange(1, 3)
        ours, theirs = (
            holding(kind, lines, which, place)._search(state, include_current_position=include, count=count)
            for kind in (SearchedBuffer, Buffer)
        )
        assert ours == theirs, (lines, which, place, state, count)
