"""Two texts beside each other."""

from __future__ import annotations

import pytest

from mistral_cli.ui.side_by_side import side_by_side
from mistral_cli.ui.wrap import cells

LONG = "Training was a matter of patience, and of 訓練 and 忍耐, as they say, " * 4


def test_two_answers_stand_beside_each_other() -> None:
    assert side_by_side(("base", "adapter"), ("one", "two\nlines"), 60) == [
        "base                         │ adapter",
        "──────────────────────────── │ ────────────────────────────",
        "one                          │ two",
        "                             │ lines",
    ]


@pytest.mark.parametrize("columns", [20, 40, 59, 60, 80, 300])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    lines = side_by_side(("base", "adapter"), (LONG, LONG.upper()), columns)
    assert max(map(cells, lines)) <= min(columns, 100)


def test_a_narrow_terminal_has_them_one_below_the_other() -> None:
    assert side_by_side(("base", "adapter"), ("one", "two"), 40) == ["base:", "  one", "adapter:", "  two"]
