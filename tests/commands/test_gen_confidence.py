"""``gen --confidence``: an answer tinted on a terminal while it comes, and the plain text anywhere else."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyte
import pytest
from gen_runs import ask

from fakes import FakeBackend, fake_console
from mistral_cli.contract import Done, SamplingParams, TextDelta, TokenInfo
from mistral_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mistral_cli.contract import Event, Prompt

SAID = (("Surely ", 0.99), ("it is ", 0.7), ("perhaps ", 0.4), ("hardly", 0.1))
WORDS = ["some", "words", "in", "one", "line"] * 6
LEGEND = "90 % or more · 60 to 90 % · 30 to 60 % · below 30 %"


@dataclass
class Sure(FakeBackend):
    """Says each text with its probability; half a character has no text yet."""

    said: tuple[tuple[str, float], ...] = SAID

    def stream(self, prompt: Prompt, params: SamplingParams, **_: object) -> Iterator[Event]:
        self.params.append(params)
        for number, (text, sure) in enumerate(self.said):
            logprob = None if params.logprobs is None else math.log(sure)
            yield TextDelta(text, (TokenInfo(id=number, text=text, logprob=logprob),))
        yield Done(reason="stop", text="".join(text for text, _ in self.said))


def tinted(*, columns: int = 80, color: bool = True, said=SAID, **flags):
    console = fake_console(terminal=True, color=color, columns=columns)
    return ask(prompt="P", confidence=True, console=console, backend=Sure(said=said), **flags)


def test_each_token_has_the_tint_of_its_probability_and_a_legend_follows_on_stderr() -> None:
    run = tinted()
    assert run.out.startswith("Surely \x1b[38;5;75mit\x1b[0m")
    assert "\x1b[38;5;214mperhaps\x1b[0m" in run.out
    assert run.out.endswith("\x1b[1;4;38;5;208mhardly\x1b[0m\n")
    assert re.sub(r"\x1b\[[\d;]*m", "", run.err) == LEGEND + "\n"
    assert run.code == 0


def test_without_colour_the_unsure_are_underlined() -> None:
    run = tinted(color=False)
    assert "Surely it is \x1b[4mperhaps\x1b[0m" in run.out
    assert "38;5" not in run.out + run.err


def test_into_a_pipe_goes_the_plain_text_and_no_legend() -> None:
    run = ask(prompt="P", confidence=True, backend=Sure())
    assert (run.out, run.err) == ("Surely it is perhaps hardly\n", "")


def test_forced_colour_tints_a_pipe_too() -> None:
    run = ask(prompt="P", confidence=True, backend=Sure(), console=fake_console(color=True))
    assert "\x1b[1;4;38;5;208mhardly\x1b[0m\n" in run.out
    assert run.err == ""


def test_a_dumb_terminal_gets_the_text_alone() -> None:
    console = fake_console(terminal=True)
    console.out.can_redraw = False
    assert ask(prompt="P", confidence=True, backend=Sure(), console=console).out == "Surely it is perhaps hardly\n"


@pytest.mark.parametrize("columns", [40, 20, 12])
def test_lines_break_at_words_on_narrow_terminals(columns: int) -> None:
    said = tuple((f"{word} ", 0.1 + 0.8 * (number % 2)) for number, word in enumerate(WORDS))
    run = tinted(columns=columns, said=said)
    screen = pyte.Screen(columns, 40)
    pyte.Stream(screen).feed(run.out.replace("\n", "\r\n"))
    assert " ".join(" ".join(screen.display).split()) == " ".join(WORDS)
    err = pyte.Screen(columns, 20)
    pyte.Stream(err).feed(run.err.replace("\n", "\r\n"))
    assert " ".join(" ".join(err.display).split()) == LEGEND


def test_a_character_of_several_tokens_has_the_tint_of_the_least_sure() -> None:
    run = tinted(said=(("A", 0.99), ("", 0.2), ("漢", 0.99)))
    assert "\x1b[1;4;38;5;208m漢\x1b[0m" in run.out


def test_what_the_model_says_cannot_drive_the_terminal() -> None:
    assert tinted(said=(("\x1b]0;x\x07", 0.99),)).out == "\u241b]0;x\u2407\n"


def test_an_empty_answer_has_no_legend() -> None:
    run = tinted(said=(), color=False)
    assert (run.out, run.err) == ("", "(empty answer)\n")


def test_the_probabilities_are_asked_for_and_no_more_than_that() -> None:
    assert tinted().backend.params[0].logprobs == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [({"json": True}, "--confidence tints text"), ({"markdown": True}, "--confidence and --markdown are both given")],
)
def test_what_cannot_be_tinted_is_refused(flags: dict[str, bool], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ask(prompt="P", confidence=True, **flags)


def test_one_question_has_no_turns_to_leave_out() -> None:
    with pytest.raises(UsageError, match="--overflow is drop-oldest, but one question has no older turns"):
        ask(prompt="P", overflow="drop-oldest")
    assert ask(prompt="P", overflow="error").code == 0
