"""What is said beside an answer."""

from __future__ import annotations

import dataclasses
import time

import pytest

from fakes import fake_console
from mistral_cli.contract import Done, Notice, PrefillProgress
from mistral_cli.ui.events import ON_THE_COMMAND_LINE, in_a_chat, show_beside, show_end, stats_line

DONE = Done(reason="stop", text="a", prompt_tokens=1200, reused_tokens=1000, answer_tokens=8, seed=7, peak_memory=2**30)


@pytest.mark.parametrize(
    ("reason", "text", "max_tokens", "said"),
    [
        ("stop", "a", None, ""),
        ("stop", "", None, "(empty answer)\n"),
        ("cancelled", "a", None, "(stopped)\n"),
        ("cancelled", "", None, "(stopped)\n"),
        ("length", "a", 8, ""),
        ("length", "a", 9, "(the answer ends here: the context of 1,208 tokens is full)\n"),
        ("length", "a", None, "(the answer ends here: the context of 1,208 tokens is full)\n"),
    ],
)
def test_the_end_is_said_where_the_text_does_not_tell(reason, text, max_tokens, said) -> None:
    console = fake_console()
    show_end(dataclasses.replace(DONE, reason=reason, text=text), max_tokens, console)
    assert console.err.file.text == said


def test_progress_is_a_status_and_a_notice_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistral_cli.ui.spinner.PATIENCE", 0.01)
    console = fake_console(terminal=True)
    show_beside(PrefillProgress(0, 2048), console)
    show_beside(PrefillProgress(512, 2048), console)
    until = time.monotonic() + 300
    while "Reading the prompt: 512 of 2,048 tokens" not in console.err.file.text:
        assert time.monotonic() < until
    show_beside(Notice("Careful."), console)
    assert console.err.file.text.endswith(" Reading the prompt: 512 of 2,048 tokens\r\x1b[KCareful.\n")


def test_a_prompt_that_is_read_at_once_needs_no_progress() -> None:
    console = fake_console(terminal=True)
    show_beside(PrefillProgress(1, 2), console)
    console.answer("a")
    assert (console.err.file.text, console.out.file.text) == ("", "a")


def test_a_notice_is_not_said_at_every_turn() -> None:
    console = fake_console()
    for text in ("Careful.", "Careful.", "Mind the step."):
        show_beside(Notice(text), console)
    assert console.err.file.text == "Careful.\nMind the step.\n"


def test_statistics_are_one_line() -> None:
    assert stats_line(DONE) == (
        "prompt 1,200 tokens (1,000 reused) · answer 8 tokens · first after 0.00 s · 0.0 tokens/s · ended by stop · "
        "seed 7 · peak memory 1,024 MiB"
    )


def test_a_loop_and_a_full_context_are_said_with_what_can_be_done_there() -> None:
    told = {}
    for name, hints in (("chat", in_a_chat(has_turns=True)), ("gen", ON_THE_COMMAND_LINE)):
        console = fake_console()
        for reason in ("loop", "length"):
            show_end(dataclasses.replace(DONE, reason=reason), None, console, hints=hints)
        told[name] = console.err.file.text
    assert "(stopped: it repeated itself; /retry repetition_penalty=1.3 answers again" in told["chat"]
    assert "is full; /continue goes on without the oldest turns" in told["chat"]
    assert "(stopped: it repeated itself; --repetition-penalty 1.3 may help" in told["gen"]
    assert told["gen"].endswith("(the answer ends here: the context of 1,208 tokens is full)\n")
