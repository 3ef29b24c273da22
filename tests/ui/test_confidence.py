"""An answer tinted by how sure the model was."""

from __future__ import annotations

import math
import re

from mistral_cli.chat.turn import Turn
from mistral_cli.contract import TokenInfo
from mistral_cli.ui.confidence import confidence

TOKENS = (("Sure ", 0.95), ("likely ", 0.7), ("maybe ", 0.4), ("hardly\n", 0.1))


def turn(*tokens: tuple[str, float | None]) -> Turn:
    infos = tuple(
        TokenInfo(id=number, text=text, logprob=None if sure is None else math.log(sure))
        for number, (text, sure) in enumerate(tokens)
    )
    return Turn(question="q", answer="".join(text for text, _ in tokens), tokens=infos)


def test_the_surest_look_as_always_and_each_step_otherwise() -> None:
    shown = confidence(turn(*TOKENS), is_terminal=True, color=True, can_style=True)
    text, legend = shown.split("\n\n", 1)
    assert text.startswith("Sure \x1b[38;5;75mlikely \x1b[0m\x1b[38;5;214mmaybe \x1b[0m\x1b[1;4;38;5;208mhardly\x1b[0m")
    assert "\x1b[38;5;75m60 to 90 %\x1b[0m" in legend


def test_lines_break_at_words_and_styles_do_not_move() -> None:
    whole = confidence(turn(*TOKENS), is_terminal=True, color=True, can_style=True)
    narrow = confidence(turn(*TOKENS), is_terminal=True, color=True, can_style=True, columns=12)
    assert narrow.startswith("Sure \x1b[38;5;75mlikely\x1b[0m\n\x1b[38;5;214mmaybe")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", narrow)
    assert max(map(len, plain.split("\n"))) <= 12
    assert plain.split() == re.sub(r"\x1b\[[0-9;]*m", "", whole).split()


def test_without_colour_the_unsure_are_underlined() -> None:
    shown = confidence(turn(*TOKENS), is_terminal=True, color=False, can_style=True)
    assert shown.startswith("Sure likely \x1b[4mmaybe \x1b[0m\x1b[1;4mhardly\x1b[0m\n")


def test_where_nothing_can_be_tinted_each_token_has_its_probability() -> None:
    shown = confidence(turn(*TOKENS, ("forced", None)), is_terminal=False, color=False, can_style=False)
    assert shown.splitlines() == [
        " 95.0%  'Sure '",
        " 70.0%  'likely '",
        " 40.0%  'maybe '",
        " 10.0%  'hardly\\n'",
        "     -  'forced'",
    ]


def test_what_the_model_says_cannot_drive_the_terminal() -> None:
    shown = confidence(turn(("\x1b]0;x\x07", 0.99), ("\u202e", 0.99)), is_terminal=True, color=True, can_style=True)
    assert shown.startswith("\u241b]0;x\u2407<U+202E>")
