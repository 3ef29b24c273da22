"""Markdown is shown while it streams, each line once for good, and never as Rich's own markup."""

from __future__ import annotations

import random
import re

import pytest
from streamed_pages import ANSWER, page, pieces, plain, screen, stream

from fakes import fake_console
from mistral_cli.ui.markdown.inline import render as render_words
from mistral_cli.ui.markdown.inline import render_begun, unchanging
from mistral_cli.ui.markdown.writer import MarkdownWriter, render


@pytest.mark.parametrize("columns", [80, 40, 20])
@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_what_streamed_stands_on_the_screen_as_if_it_had_come_at_once(size: int, columns: int) -> None:
    assert screen(stream(pieces(ANSWER, size), columns=columns, color=True), columns) == page(ANSWER, columns)


def test_pieces_of_random_sizes_give_the_same_page() -> None:
    draw = random.Random(4)
    for _ in range(20):
        pieces, at = [], 0
        while at < len(ANSWER):
            size = draw.choice((1, 2, 5, 30, 200))
            pieces.append(ANSWER[at : at + size])
            at += size
        assert screen(stream(pieces, columns=40), 40) == page(ANSWER, 40)


def test_an_answer_taller_than_the_screen_scrolls_and_stays_above_it() -> None:
    text = ANSWER * 5
    console = fake_console(terminal=True, columns=40, rows=6)
    writer = MarkdownWriter(console=console)
    for piece in pieces(text, 4):
        writer.push(piece)
    writer.finish()
    shown, whole = screen(console.out.file.text, 40, rows=6), page(text, 40)
    assert [line for line in shown if "│" not in line] == [line for line in whole if "│" not in line]


def test_the_first_word_is_shown_at_once_and_later_ones_behind_it() -> None:
    console = fake_console(terminal=True)
    writer = MarkdownWriter(console=console)
    writer.push("Hello")
    assert console.out.file.text == "Hello"
    writer.push(" there, ")
    writer.push("you.")
    writer.finish()
    assert console.out.file.text == "Hello there, you.\n"


def test_emphasis_code_and_links_show_before_they_are_closed() -> None:
    assert (render_begun("a **bold te").plain, render_begun("`x = ").plain) == ("a bold te", "x = ")
    assert render_begun("a **bold te").spans == render_words("a **bold te**").spans
    assert render_begun("see [the do").plain == "see [the do"


def test_words_are_settled_only_outside_of_open_marks() -> None:
    assert unchanging("a **b c** d")[0] == len("a **b c** ")
    assert unchanging("a **b c") == (2, ["**"])
    assert unchanging("2 * 3 and x")[0] == len("2 * 3 and ")
    assert unchanging("`a b` and [x y](http://z z")[0] == len("`a b` and ")


def test_a_mark_that_is_never_closed_is_text_and_does_not_hold_the_rest() -> None:
    text = "5*3 is " + "many words " * 100
    console = fake_console(terminal=True)
    writer = MarkdownWriter(console=console)
    writer.push(text)
    assert len(console.out.file.text) > 400
    writer.finish()
    assert " ".join(plain(console.out.file.text).split()).endswith(text.strip()[-500:])
    assert "5*3" in console.out.file.text


def test_an_open_fence_and_a_begun_table_are_shown_as_far_as_they_are() -> None:
    console = fake_console(terminal=True)
    writer = MarkdownWriter(console=console)
    writer.push("```python\nx = 1\ny =")
    assert screen(console.out.file.text, 80) == ["── python ──────────", "x = 1", "y ="]
    writer.push(" 2\n```\n| a | b |\n")
    assert screen(console.out.file.text, 80)[-1] == "| a | b |"
    writer.push("|---|---|\n| 1 ")
    assert screen(console.out.file.text, 80)[-3:] == [" a │ b", "───┼───", "| 1"]
    writer.push("| 2 |\n")
    assert screen(console.out.file.text, 80)[-1] == " 1 │ 2"
    writer.finish()


def test_a_notice_in_the_middle_stands_on_a_line_of_its_own() -> None:
    console = fake_console(terminal=True)
    console.err.file = console.out.file
    writer = MarkdownWriter(console=console)
    writer.push("Hello there, ")
    console.notice("Careful.")
    writer.push("friend.")
    writer.finish()
    assert screen(console.out.file.text, 80) == ["Careful.", "Hello there, friend."]


def test_without_a_cursor_to_move_only_whole_lines_come_and_no_escape() -> None:
    console = fake_console(columns=40)
    writer = MarkdownWriter(console=console)
    for piece in pieces(ANSWER, 3):
        writer.push(piece)
    writer.finish()
    assert console.out.file.text == render(ANSWER, columns=40, color=False)
    assert "\x1b" not in console.out.file.text


def test_markup_in_the_answer_stays_text() -> None:
    page = render(ANSWER, columns=80, color=False)
    assert '"[bold]no[/bold]"' in page
    assert "[/INST]" in page
    assert "a link (https://example.com/a)" in " ".join(page.split())


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = render(ANSWER, columns=80, color=True)
    assert "\x1b[1m" in coloured
    assert "\x1b]8" not in coloured
    assert plain(coloured) == render(ANSWER, columns=80, color=False)


@pytest.mark.parametrize("evil", ["\x1b]8;;http://x\x07", "\u202e", "&#x202e;", "[a](http://x/\x1b)", "\x9b31m"])
@pytest.mark.parametrize("size", [1, 1000])
def test_nothing_unsafe_reaches_the_terminal(evil: str, size: int) -> None:
    text = f"a {evil} b\n\n`{evil}`\n\n| {evil} |\n|---|\n| {evil} |\n\n```{evil}\n{evil}\n```\n# {evil}\n"
    assert not re.search("[\x1b\x9b\u202e\x07]", plain(stream(pieces(text, size))))


@pytest.mark.parametrize("columns", [20, 80])
def test_the_page_keeps_to_the_width(columns: int) -> None:
    page = render("word " * 50 + "\n\n- " + "item " * 20 + "\n> " + "q " * 90, columns=columns, color=False)
    assert max(len(line) for line in page.splitlines()) <= columns


def test_while_a_window_is_being_resized_nothing_is_drawn_and_then_all() -> None:
    now, columns = 0.0, 80
    console = fake_console(terminal=True)
    console.out.measure = lambda: columns
    writer = MarkdownWriter(console=console, clock=lambda: now)
    writer.push("Some words ")
    shown = console.out.file.text
    for width in (40, 20, 30):
        columns = width
        now += 0.2
        writer.push("and more ")
        assert console.out.file.text == shown
    now += 0.4
    writer.push("of them.")
    writer.finish()
    assert screen(console.out.file.text, 30) == ["Some words and more and more", "and more of them."]
