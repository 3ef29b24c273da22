"""Marked parts of a text: coloured, underlined or named, as the stream has it, and never obeyed by a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fakes import fake_console
from mistral_cli.ui.marked import marked

if TYPE_CHECKING:
    from mistral_cli.ui.console import Stream

PARTS = [("Ask: one two three four\n", False), (" the answer", True)]
WORDS = ("given", "learnt")


def stream(*, terminal: bool = True, color: bool = False, columns: int = 80) -> Stream:
    return fake_console(terminal=terminal, color=color, columns=columns).out


def test_on_a_terminal_a_part_has_its_colour() -> None:
    shown = marked(PARTS, stream(color=True), WORDS)
    assert re.fullmatch(r"(\x1b\[2m[^\x1b]*\x1b\[0m|\n)+(\x1b\[32m[^\x1b]+\x1b\[0m)+", shown)
    assert re.sub(r"\x1b\[\d*m", "", shown) == "Ask: one two three four\n the answer"


def test_without_colour_it_has_a_line_under_it() -> None:
    shown = marked(PARTS, stream(), WORDS)
    assert re.fullmatch(r"Ask: one two three four\n(\x1b\[4m[^\x1b]+\x1b\[0m)+", shown)


def test_lines_break_at_words() -> None:
    shown = marked(PARTS, stream(columns=12), WORDS)
    plain = re.sub(r"\x1b\[\d*m", "", shown)
    assert max(map(len, plain.split("\n"))) <= 12
    assert " ".join(plain.split()) == "Ask: one two three four the answer"


def test_elsewhere_a_part_is_a_line_that_says_what_it_is() -> None:
    assert marked(PARTS, stream(terminal=False), WORDS) == (
        'given   "Ask: one two three four\\n"\nlearnt  " the answer"'
    )


def test_what_others_wrote_is_made_safe_for_a_terminal() -> None:
    shown = marked([("a\x1b]0;b\x07\u202ec", True)], stream(), WORDS)
    assert re.sub(r"\x1b\[\d*m", "", shown).isprintable()
