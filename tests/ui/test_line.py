"""The line a person types: what keys do, several lines, pastes, what is shown."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from typist import ALT_ENTER, CTRL, DOWN, ENTER, ESCAPE, LEFT, RIGHT, UP, paste, shows, typist

from fakes import FakeBackend
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from prompt_toolkit.application import Application
    from typist import Typist

MULTILINE = {"is_multiline": True}


def test_enter_sends_what_was_typed() -> None:
    with typist() as person:
        assert person.type("hello", ENTER) == "hello"


@pytest.mark.parametrize("key", [ALT_ENTER, CTRL["J"], "\x1b[27;3;13~", "\x1b[13;2u"])
@pytest.mark.parametrize("keys", ["emacs", "vi"])
def test_alt_enter_and_ctrl_j_begin_a_new_line(key: str, keys: str) -> None:
    with typist(keys=keys) as person:
        assert person.type("one", key, "two", ENTER) == "one\ntwo"


def test_a_paste_is_kept_whole_and_never_sends() -> None:
    with typist() as person:
        assert person.type(paste("one\ntwo\n\tthree\n"), "four", ENTER) == "one\ntwo\n\tthree\nfour"


def test_a_block_of_quotes_goes_on_until_they_come_again() -> None:
    with typist() as person:
        assert person.type('"""', ENTER, "/one", ENTER, ENTER, 'two"""', ENTER) == '"""\n/one\n\ntwo"""'


def test_after_multiline_enter_begins_a_line_and_alt_enter_sends() -> None:
    with typist(**MULTILINE) as person:
        assert person.type("one", ENTER, "two", CTRL["J"], "three", ALT_ENTER) == "one\ntwo\nthree"


def test_after_multiline_enter_still_sends_a_command() -> None:
    with typist(**MULTILINE) as person:
        assert person.type("/multiline", ENTER) == "/multiline"
        assert person.type("//etc", ENTER, "/x", ENTER, ALT_ENTER) == "//etc\n/x\n"


def test_multiline_is_told_and_turned_back() -> None:
    from chats import err, typed

    assert "Enter begins a new line, Alt-Enter sends." in err(
        typed("/multiline", backend=FakeBackend(), tells_keys=True)
    )
    repl = typed("/multiline", "/multiline", backend=FakeBackend(), tells_keys=True)
    assert not repl.is_multiline


def test_ctrl_c_clears_the_line_and_undo_brings_it_back() -> None:
    with typist() as person:
        assert person.type("one", CTRL["J"], "two", CTRL["C"], "three", ENTER) == "three"
        assert person.type("one", CTRL["C"], CTRL["_"], ENTER) == "one"


def test_ctrl_c_on_an_empty_line_interrupts() -> None:
    with typist() as person, pytest.raises(KeyboardInterrupt):
        person.type("x", CTRL["C"], CTRL["C"])


def test_ctrl_d_leaves_from_an_empty_line_and_deletes_in_another() -> None:
    with typist() as person:
        assert person.type("abc", CTRL["A"], CTRL["D"], ENTER) == "bc"
        with pytest.raises(EOFError):
            person.type(CTRL["D"])


def test_the_arrow_keys_reach_earlier_lines_and_those_of_other_chats(tmp_path: Path) -> None:
    store = open_store(tmp_path / "chats.db")
    Keeper(store=store).keep_input("before\nit")
    with typist(keeper=Keeper(store=store)) as person:
        person.type("one", ENTER)
        assert person.type(UP, ENTER) == "one"
        assert person.type(UP, UP, UP, ENTER) == "before\nit"
        assert person.type(UP, CTRL["C"], UP, ENTER) == "before\nit"
        assert person.type("draft", UP, DOWN, ENTER) == "draft"
    store.close()


def test_no_key_reads_the_store(tmp_path: Path) -> None:
    store = open_store(tmp_path / "chats.db")
    Keeper(store=store).keep_input("tell me of rivers")

    def close(_person: Typist) -> bool:
        store.close()
        return True

    with typist(keeper=Keeper(store=store)) as person:
        shown = person.screen("t", shows("tell me of rivers"), close, "ell", UP, DOWN, CTRL["R"], "riv", CTRL["G"])
        assert shown[0].startswith("> tell")


def test_ctrl_r_searches_earlier_lines() -> None:
    with typist() as person:
        for line in ("a green house", "a red house", "a blue boat"):
            person.type(line, ENTER)
        assert person.type(CTRL["R"], "hou", CTRL["R"], ENTER, ENTER) == "a green house"
        assert any("hou': a green house" in row for row in person.screen(CTRL["R"], "hou"))


def test_the_rest_of_an_earlier_line_is_suggested_and_taken_with_the_right_key() -> None:
    with typist() as person:
        person.type("tell me of rivers", ENTER)
        person.type("one", CTRL["J"], "two", ENTER)
        assert person.screen("tell")[0] == "> tell me of rivers"
        assert person.text == "tell"
        assert person.type("tell", RIGHT, ENTER) == "tell me of rivers"
        assert person.type("tell", ENTER) == "tell"
        assert person.screen("o")[0] == "> o"


def test_a_suggestion_looks_other_than_what_was_typed() -> None:
    for color, code in ((True, "\x1b[0;90m"), (False, "\x1b[0;2m")):
        with typist(color=color) as person:
            person.type("tell me", ENTER)
            person.screen("te")
            assert f"{code}ll me" in person.terminal.written


def test_vi_keys_edit_where_they_are_asked_for() -> None:
    with typist(keys="vi") as person:
        assert person.type("one two", ESCAPE, "0dwi", "x", ENTER) == "xtwo"
        assert person.type("one", ESCAPE, ENTER) == "one"
    with typist() as person:
        assert person.type("one two", CTRL["A"], "0dw", ENTER) == "0dwone two"


def test_what_could_not_be_asked_stands_in_the_line_once() -> None:
    with typist(draft="see @missing.md") as person:
        assert person.type(" please", ENTER) == "see @missing.md please"
        assert person.type("x", ENTER) == "x"


def test_keys_typed_before_anybody_read_are_not_lost() -> None:
    with typist() as person:
        person.keyboard.type_ahead("one\rtwo")
        assert person.type() == "one"
        assert person.type(ENTER) == "two"


def test_tab_indents_in_prose() -> None:
    with typist() as person:
        assert person.type("if x:", CTRL["J"], "\t", "y", ENTER) == "if x:\n    y"


def test_control_characters_are_shown_and_kept() -> None:
    with typist() as person:
        text = "a\x1b[31mb\u202ec\td\x07\u2028e"
        shown = person.screen(paste(text))
        assert shown[0] == "> a␛[31mb<U+202E>c    d␇<U+2028>e"
        assert person.type(paste(text), ENTER) == text


def test_the_cursor_stands_where_it_is_behind_what_is_shown_longer() -> None:
    with typist() as person:
        person.screen(paste("a\u202eb\tc"), LEFT)
        assert person.column == len("> a<U+202E>b") + 2
        assert person.type(paste("a\u202eb\tc"), LEFT, LEFT, LEFT, "x", ENTER) == "a\u202exb\tc"


def test_wide_characters_emoji_and_combining_marks_are_edited_one_by_one() -> None:
    with typist() as person:
        assert person.screen("日本語 e\u0301 😀", LEFT)[0] == "> 日本語 é 😀"
        assert person.column == len("> ") + 6 + 1 + 1 + 1
        assert person.type("日本語😀", "\x7f", "\x7f", ENTER) == "日本"


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 24), (20, 10), (80, 3), (20, 1), (10, 2)])
def test_a_line_can_be_typed_on_any_screen(columns: int, rows: int) -> None:
    with typist(columns=columns, rows=rows) as person:
        shown = "".join(person.screen("one two", CTRL["J"], "three"))
        assert "three" in shown
        assert "too small" not in shown
        assert person.type("one two " * 10, CTRL["J"], "/he", ENTER) == "one two " * 10 + "\n/he"


def test_lines_after_the_first_stand_under_it() -> None:
    with typist() as person:
        assert person.screen("one", CTRL["J"], "two")[:2] == ["> one", "  two"]


@pytest.mark.parametrize("text", ["x" * 1_000_000, "some words of one line\n" * 45_000, "日本" * 300_000])
def test_a_megabyte_is_pasted_and_edited(text: str) -> None:
    before, end, last = text.rpartition("\n")
    with typist() as person:
        line = person.type(paste(text), "a", "b", LEFT, CTRL["A"], "c", CTRL["E"], ENTER)
        assert line == f"{before}{end}c{last}ab"


def test_the_middle_of_a_huge_line_is_left_out_of_the_screen_only() -> None:
    with typist(rows=60) as person:
        shown = "".join(person.screen(paste("a" * 4000 + "b" * 4001 + "c" * 4000), "d"))
        assert "characters …" in shown
        assert "cccd" in shown
        assert person.text == "a" * 4000 + "b" * 4001 + "c" * 4000 + "d"


@pytest.mark.parametrize(
    ("error", "ends"), [(OSError(5, "Input/output error"), EOFError), (ValueError("x"), ValueError)]
)
def test_what_goes_wrong_meanwhile_ends_the_reading(error: Exception, ends: type[Exception]) -> None:
    """As where the terminal is gone: told there, it would go wrong again, without an end."""

    def fail() -> None:
        raise error

    with typist() as person:
        app = person.keyboard._session.app
        app.after_render += lambda _: asyncio.get_running_loop().call_soon(fail)
        with pytest.raises(ends):
            person.type("one", ENTER)


def test_ctrl_c_that_comes_as_a_signal_is_the_key() -> None:
    """As it does while the terminal is not yet read key by key."""

    def strike(_: Typist) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return True

    def is_cleared(typist: Typist) -> bool:
        return not typist.keyboard._session.default_buffer.text

    with typist() as person, pytest.raises(KeyboardInterrupt):
        person.type("one", strike, is_cleared, strike, lambda _: False)


def test_ctrl_c_before_the_line_is_there_is_pressed_once_it_is() -> None:
    with typist() as person:
        with person.keyboard._strikes.held():
            os.kill(os.getpid(), signal.SIGINT)  # as while asyncio makes its loop: no exception there
        with pytest.raises(KeyboardInterrupt):
            person.type("one", lambda _: False)


def test_ctrl_c_after_a_line_was_sent_leaves_it_in_the_next_one() -> None:
    def strike(app: Application[str]) -> None:
        if app.is_done:
            os.kill(os.getpid(), signal.SIGINT)

    with typist() as person:
        person.keyboard._session.app.after_render += strike
        with pytest.raises(KeyboardInterrupt):
            person.type("one", ENTER)
        assert person.chat.draft == "one"
