"""Lines break at words; what is written while a text comes is the text, with newlines where the terminal ends."""

from __future__ import annotations

import pyte
import pytest

from mistral_cli.ui.wrap import Wrapper, breaks, cells, wrapped


def test_a_paragraph_is_wrapped_at_words_and_indented_below() -> None:
    assert wrapped("one two three four", 9) == "one two\nthree\nfour"
    assert wrapped("one two three four", 9, "  ") == "one two\n  three\n  four"
    assert wrapped("short", 9) == "short"


def test_a_word_longer_than_the_line_is_cut_and_wide_characters_count_twice() -> None:
    assert breaks("abcdefghij", 4) == [4, 8]
    assert breaks("漢字漢字", 4) == [2]
    assert breaks("a 漢字。b", 6) == [3]  # a stop does not begin a line
    assert cells("👍a\tb") == 9


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize("can_redraw", [True, False])
def test_no_word_is_broken_while_a_text_comes(size: int, can_redraw: bool) -> None:
    text = "Some words and 漢字漢字漢字漢字 and then an 👍 emoji, more words.\n\n" + "again and again " * 10
    wrapper, sent = Wrapper(can_redraw), ""
    for start in range(0, len(text), size):
        sent += wrapper.push(text[start : start + size], 20)
    sent += wrapper.finish()
    screen = pyte.Screen(20, 40)
    pyte.Stream(screen).feed(sent.replace("\n", "\r\n"))
    shown = [line.rstrip() for line in screen.display]
    assert " ".join("".join(shown).split()).replace(" ", "") == text.replace(" ", "").replace("\n", "")
    words = set(text.replace("漢字", " ").split())
    assert {word for line in shown for word in line.replace("漢", " ").replace("字", " ").split()} <= words


def test_lines_of_fenced_code_are_not_broken() -> None:
    line = "x = " + "1 + " * 20
    assert line in Wrapper(True).push(f"```\n{line}\n```\n", 20)


@pytest.mark.parametrize("can_redraw", [True, False])
def test_a_line_that_is_just_full_is_followed_by_no_empty_one(can_redraw: bool) -> None:
    wrapper = Wrapper(can_redraw)
    sent = wrapper.push("aaaaaaaaa bbbbbbbbbb", 20) + wrapper.push("   cccc", 20) + wrapper.finish()
    screen = pyte.Screen(20, 4)
    pyte.Stream(screen).feed(sent.replace("\n", "\r\n"))
    assert [line.rstrip() for line in screen.display] == ["aaaaaaaaa bbbbbbbbbb", "cccc", "", ""]


@pytest.mark.parametrize("can_redraw", [True, False])
def test_a_word_that_is_moved_to_the_next_line_keeps_its_styles(can_redraw: bool) -> None:
    wrapper = Wrapper(can_redraw)
    sent = wrapper.push("one two th", 12, lambda text: f"<{text}>") + wrapper.push("ree", 12, lambda text: f"[{text}]")
    assert (sent + wrapper.finish()).endswith("\n<th>[ree]")
