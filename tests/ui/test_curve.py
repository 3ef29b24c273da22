"""A row of numbers as a picture."""

from __future__ import annotations

import pytest

from mistral_cli.ui.curve import curve
from mistral_cli.ui.wrap import cells


def test_what_falls_is_seen_to_fall() -> None:
    assert curve([4.0, 3.0, 2.0, 1.0], columns=40, rows=4) == [
        "4 ┤█",
        "  ┤█▅",
        "  ┤██▃",
        "1 ┤███▁",
        "  └────",
        "   1  4",
    ]


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
@pytest.mark.parametrize("count", [1, 2, 3, 59, 60, 61, 1000])
def test_no_line_is_wider_than_the_terminal(columns: int, count: int) -> None:
    lines = curve([1 / (1 + step) for step in range(count)], columns=columns)
    assert len(lines) == 10
    assert max(map(cells, lines)) <= min(columns, 80)


def test_many_numbers_are_means() -> None:
    flat = curve([2.0, 4.0] * 500 + [1.0, 5.0] * 500, columns=30, rows=2)
    assert len(set(flat[1].partition("┤")[2])) == 1


def test_equal_numbers_are_a_flat_line() -> None:
    assert curve([2.0] * 3, columns=40, rows=2) == ["2 ┤", "2 ┤▁▁▁", "  └───", "   1 3"]


def test_a_terminal_of_a_few_columns_has_no_picture() -> None:
    assert curve([2.0, 1.0], columns=10) == []
