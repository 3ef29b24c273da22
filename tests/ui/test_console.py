"""What goes to which stream, and in which dress."""

from __future__ import annotations

import io
import sys

import pyte
import pytest

from fakes import FakeScreen, fake_console
from mistral_cli.errors import MistralError
from mistral_cli.ui.console import Console, Stream, wants_color

EVIL = "a\x1b[31mb\u202ec\u2028"


@pytest.mark.parametrize(
    ("choice", "is_terminal", "environ", "expected"),
    [
        ("auto", True, {"TERM": "xterm"}, True),
        ("auto", False, {"TERM": "xterm"}, False),
        ("auto", True, {"TERM": "dumb"}, False),
        ("auto", True, {}, False),
        ("auto", True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        ("auto", True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        ("auto", False, {"CLICOLOR_FORCE": "1"}, True),
        ("auto", False, {"CLICOLOR_FORCE": "0"}, False),
        ("auto", False, {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False),
        ("always", False, {"NO_COLOR": "1", "TERM": "dumb"}, True),
        ("never", True, {"TERM": "xterm", "CLICOLOR_FORCE": "1"}, False),
    ],
)
def test_colour_follows_the_flag_then_the_variables_then_the_stream(choice, is_terminal, environ, expected) -> None:
    assert wants_color(choice, is_terminal=is_terminal, environ=environ) is expected


def test_an_answer_goes_into_a_pipe_byte_for_byte() -> None:
    console = fake_console()
    console.answer(EVIL)
    console.answer("\r\n\0")
    assert console.out.file.getvalue() == EVIL.encode() + b"\r\n\0"
    assert console.err.file.getvalue() == b""


def test_an_answer_is_made_safe_for_a_terminal() -> None:
    console = fake_console(terminal=True)
    console.answer(EVIL)
    assert console.out.file.text == "a\u241b[31mb<U+202E>c<U+2028>"


def test_an_answer_is_made_safe_across_its_pieces() -> None:
    console = fake_console(terminal=True)
    for piece in ("\U0001f468", "\u200d", "\U0001f469", "x", "\u200d"):
        console.answer(piece)
    assert console.out.file.text == "\U0001f468\u200d\U0001f469x<U+200D>"


def test_an_error_is_one_line_with_what_to_do() -> None:
    console = fake_console()
    console.error(MistralError("It\nbroke.", "Mend it."))
    assert console.err.file.text == "error: It broke. Mend it.\n"
    assert console.out.file.text == ""


def test_an_error_is_made_safe_for_a_terminal_and_red_where_colour_is_wanted() -> None:
    console = fake_console(terminal=True, color=True)
    console.error(MistralError("no \x1b]0;x\x07"))
    assert console.err.file.text == "\x1b[1;31merror:\x1b[0m no \u241b]0;x\u2407\n"


def test_quiet_leaves_only_errors_and_what_was_asked_for() -> None:
    console = fake_console(terminal=True, quiet=True)
    console.notice("a")
    console.warning("b")
    console.status("c")
    assert console.err.file.text == ""
    console.stats("d")
    console.error(MistralError("e."))
    assert console.err.file.text == "d\nerror: e.\n"


def test_a_status_line_is_wiped_before_the_next_output() -> None:
    console = fake_console(terminal=True)
    console.status("reading")
    console.answer("a")
    console.answer("b")
    assert console.err.file.text == "\r\x1b[Kreading\r\x1b[K"
    assert console.out.file.text == "ab"


def test_a_status_line_is_cut_to_the_width() -> None:
    console = fake_console(terminal=True, columns=20)
    console.status("x" * 100)
    assert console.err.file.text == "\r\x1b[K" + "x" * 19


def test_there_is_no_status_line_in_a_pipe() -> None:
    console = fake_console()
    console.status("reading")
    assert console.err.file.text == ""


def test_a_closed_stdout_is_an_error_and_a_closed_stderr_is_none() -> None:
    console = Console(out=Stream(file=None), err=Stream(file=None))
    console.notice("nobody hears")
    with pytest.raises(OSError, match="closed"):
        console.answer("a")


def test_json_keeps_text_and_can_be_read_back() -> None:
    import json

    console = fake_console()
    console.json({"text": "ü\u2028\ud800"})
    assert console.out.file.text == '{"text": "ü\u2028\\ud800"}\n'
    assert json.loads(console.out.file.text) == {"text": "ü\u2028\ud800"}


@pytest.mark.parametrize(("typed", "expected"), [("y\n", True), ("Yes\n", True), ("n\n", False), ("", False)])
def test_only_yes_is_yes(typed: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    console = fake_console(terminal=True)
    assert console.ask("Really?") is expected
    assert console.err.file.text == "Really? [y/N] "
    assert not console.can_ask  # a StringIO is no terminal


def test_bytes_are_written_at_once() -> None:
    class Unflushed(FakeScreen):
        flushed = b""

        def flush(self) -> None:
            self.flushed = self.getvalue()

    stream = Stream(file=Unflushed())
    stream.write("a")
    assert stream.file.flushed == b"a"


def test_a_status_line_that_the_terminal_wrapped_anew_is_taken_away_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = 40
    console = fake_console(terminal=True)
    console.err.measure = lambda: columns
    console.status("Reading the prompt: 12 of 345 tokens")
    columns = 20
    console.status("Reading")
    console.clear_status()
    screen = pyte.Screen(20, 5)
    pyte.Stream(screen).feed("> question\r\nReading the prompt: \r\n12 of 345 tokens")  # as it stands after the resize
    pyte.Stream(screen).feed(console.err.file.text.split("tokens", 1)[1])
    assert [line.rstrip() for line in screen.display] == ["> question", "", "", "", ""]


def test_rows_are_safe_and_wrapped_on_a_terminal_and_as_they_are_anywhere_else() -> None:
    rows = ("one two three \x1b[31mfour", "second\nthird")
    terminal, pipe = fake_console(terminal=True, columns=12), fake_console()
    for console in (terminal, pipe):
        console.rows(*rows, indent="  ")
    assert terminal.out.file.text == "one two\n  three\n  \u241b[31mfour\nsecond\nthird\n"
    assert pipe.out.file.text == "one two three \x1b[31mfour\nsecond\nthird\n"


def test_a_gap_is_for_terminals_alone() -> None:
    terminal, pipe = fake_console(terminal=True), fake_console()
    for console in (terminal, pipe):
        console.gap()
    assert (terminal.out.file.text, pipe.out.file.text) == ("\n", "")


@pytest.mark.parametrize(
    ("left", "rows"),
    [
        ("abc", ["abc", "> "]),
        ("abc\r\n", ["abc", "> "]),
        ("0123456789", ["0123456789", "> "]),
        ("0123456789ab", ["0123456789", "ab", "> "]),
        ("", ["> "]),
    ],
)
def test_a_line_is_fresh_whatever_another_program_left(left: str, rows: list[str]) -> None:
    console, screen = fake_console(terminal=True, columns=10), pyte.Screen(10, 6)
    console.fresh_line()
    pyte.Stream(screen).feed(left + console.out.file.text + "> ")
    assert [row.rstrip() for row in screen.display if row.strip()] == [row.rstrip() for row in rows]


def test_a_pipe_gets_no_blanks_for_a_fresh_line() -> None:
    console = fake_console()
    console.fresh_line()
    assert console.out.file.text == ""
