"""``mistral gen`` at a real terminal: what it reads there, and what stands on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from processes import fake
from terminals import CTRL_D

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.pty


def test_gen_does_not_read_a_terminal_unasked(open_terminal) -> None:
    terminal = open_terminal(fake("gen", flags={"prompt": "P"}))
    assert terminal.end() == 0
    assert terminal.seen.endswith("Hello there, friend.\r\n")


def test_gen_reads_a_terminal_when_a_dash_asks(open_terminal) -> None:
    terminal = open_terminal(fake("gen", flags={"file": ["-"]}))
    terminal.type("typed\r" + CTRL_D)
    terminal.expect("Hello there, friend.")
    assert terminal.end() == 0


def test_gen_without_a_prompt_at_a_terminal_is_told_where_to_put_one(open_terminal) -> None:
    terminal = open_terminal(fake("gen", flags={"quiet": False}))
    assert terminal.end() == 2
    assert "The prompt is empty." in terminal.seen


def test_an_error_stands_on_a_line_of_its_own_and_not_behind_the_progress(open_terminal, gate: Path) -> None:
    terminal = open_terminal(fake("gen", error="MistralError", gate=str(gate), gate_at=0), NO_COLOR="1")
    terminal.expect("Reading the prompt: 1 of 1 tokens")
    gate.touch()
    assert terminal.end() == 1
    assert "Reading the prompt: 1 of 1 tokens\r\x1b[Kerror: It broke.\r\n" in terminal.seen


def test_gen_renders_markdown_at_a_terminal_when_asked(open_terminal) -> None:
    terminal = open_terminal(fake(flags={"prompt": "P", "markdown": True}, answers=["# Head\n\n- *item*\n\n`x`\n"]))
    assert terminal.end() == 0
    assert "Head" in terminal.seen
    assert not {"#", "*", "`"} & set(terminal.seen)


def test_stdout_may_be_elsewhere(open_terminal, tmp_path: Path, gate: Path) -> None:
    program = fake("gen", answers=["a\x1b[1m\u202e"], gate=str(gate), gate_at=0)
    terminal = open_terminal(["bash", "-c", f'"$@" >{tmp_path}/answer', "bash", *program])
    terminal.expect("Reading the prompt")
    gate.touch()
    assert terminal.end() == 0
    assert " Reading the prompt: 1 of 1 tokens\x1b[0m\r\x1b[K" in terminal.seen
    assert (tmp_path / "answer").read_text() == "a\x1b[1m\u202e\n"
