"""Tables are columns of text in pipes, drawn on terminals, and hold nothing that a terminal obeys."""

from __future__ import annotations

from fakes import fake_console
from mistral_cli.ui.table import show_table

HEADER = ("what", "tokens/s", "range")
ROWS = [("prefill", "8", "7 to 9"), ("decoding", "12.5", "")]


def test_a_pipe_gets_columns_and_no_frame() -> None:
    console = fake_console()
    show_table(console, HEADER, ROWS)
    assert console.err.file.text == ("what      tokens/s   range\nprefill          8  7 to 9\ndecoding      12.5\n")
    assert console.out.file.text == ""


def test_a_terminal_gets_a_drawn_table_in_its_width() -> None:
    console = fake_console(terminal=True, color=True, columns=40)
    show_table(console, HEADER, ROWS)
    shown = console.err.file.text
    assert "─" in shown
    assert "\x1b[" in shown
    assert all(word in shown for row in ROWS for word in row)


def test_what_others_wrote_is_made_safe() -> None:
    console = fake_console()
    show_table(console, ("name",), [("a\x1b[31mb",)])
    assert "\x1b" not in console.err.file.text


def test_nothing_is_shown_where_it_is_to_be_quiet() -> None:
    console = fake_console(quiet=True)
    show_table(console, HEADER, ROWS)
    assert console.err.file.text == ""
