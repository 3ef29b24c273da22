"""Rows of cells as lines."""

from __future__ import annotations

from mistral_cli.ui.columns import in_columns

ROWS = [("one", "", "3", "a word or two"), ("twelve", "", "12", "")]


def test_columns_are_as_wide_as_their_widest_cell_and_empty_ones_take_no_room() -> None:
    assert list(in_columns(ROWS, None)) == ["one     3   a word or two", "twelve  12"]


def test_rows_that_do_not_fit_are_paragraphs() -> None:
    assert list(in_columns(ROWS, 16)) == ["one", "    3 · a word\n    or two", "twelve", "    12"]


def test_wide_characters_count_as_two() -> None:
    assert list(in_columns([("模型", "1"), ("abcd", "2")], 20)) == ["模型  1", "abcd  2"]
