"""Ten thousand earlier lines: each looked at once a key at most, and found as prompt-toolkit finds them."""

from __future__ import annotations

import cProfile
import random
from collections import deque
from typing import TYPE_CHECKING

import pytest
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.search import SearchDirection, SearchState
from typist import typist

from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import open_store
from mistral_cli.ui.keyboard.search import SearchedBuffer

if TYPE_CHECKING:
    from pathlib import Path

    from typist import Typist


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


def work(folder: Path, lines: int, keys: str) -> tuple[int, int]:
    """Type keys where so many lines were typed before; return calls of functions and characters sent to the screen."""
    store = open_store(folder / f"{lines}.db")
    with store.together() as database:
        kept = [(f"question {number} about this and that, of a usual length",) for number in range(lines)]
        database.executemany("INSERT INTO inputs (text) VALUES (?)", kept)
    calls, sent = cProfile.Profile(), 0

    def begin(person: Typist) -> bool:
        nonlocal sent
        has_begun = len(person.keyboard._session.default_buffer._working_lines) > lines  # all were read
        if has_begun:
            sent = len(person.terminal.written)
            calls.enable()
        return has_begun

    def end(person: Typist) -> bool:
        nonlocal sent
        calls.disable()
        sent = len(person.terminal.written) - sent
        return True

    with typist(keeper=Keeper(store=store)) as person:
        person.screen(begin, *keys, end)
    store.close()
    return sum(entry.callcount for entry in calls.getstats()), sent


def test_a_key_looks_at_each_earlier_line_once_at_most(tmp_path: Path) -> None:
    keys = "question 12 and others"
    work(tmp_path, 1, keys)  # what is done once: imports, patterns
    few, many = work(tmp_path, 10, keys), work(tmp_path, 10_000, keys)
    assert many[0] < 1.2 * few[0] + len(keys) * 10_000
    assert many[1] < 200 * len(keys)
