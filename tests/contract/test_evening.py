"""An evening at a real terminal, wide, narrow and very narrow: answers stopped, steered, killed and gone on with."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import DEADLINE, MISTRAL, fake, wait_until
from tmux import CTRL_C, CTRL_D, CTRL_Z, ENTER

from mistral_cli.chat.store import open_to_read
from mistral_cli.ui.markdown.writer import render

if TYPE_CHECKING:
    from mistral_cli.chat.conversation import Conversation

pytestmark = [pytest.mark.pty, pytest.mark.tmux]

WIDTHS = pytest.mark.parametrize("columns", [80, 40, 20])


def _last() -> Conversation:
    return open_to_read(Path(os.environ["MISTRAL_CLI_HOME"]) / "chats.db").load("last")[1]


def _said() -> list[tuple[str, str, str]]:
    return [(turn.question, turn.answer, turn.reason) for turn in _last().turns.values()]


@WIDTHS
def test_answers_are_stopped_steered_killed_and_gone_on_with(open_tmux, columns: int) -> None:
    said = ["Never said.", "Two words here.", "Three words are.", " more.", "Again.", "Other.", "Cut in the middle."]
    program = fake("chat", answers=said, alternatives=["deux ", "zwei "], stops=[[1, 0], [3, 2], [7, 2]])
    tmux = open_tmux(program, columns=columns, EDITOR="sed -i s/two/2/")
    tmux.type("one", ENTER)
    tmux.wait_for("Reading the prom")
    tmux.type(CTRL_C)
    tmux.then("(stopped)")
    tmux.ask("two", "Two words here.")
    tmux.ask("three", "Three words")
    tmux.type(CTRL_C)
    tmux.then("(stopped)")
    tmux.ask("/back 1", "Three ▏")
    assert "zwei" in tmux.then("with yours.")
    tmux.ask("/alt 2", "Three deux")
    tmux.then("more.")
    tmux.ask("/retry", "Again.")
    tmux.ask("/undo", "Back before: three")
    tmux.ask("/edit", "Other.")
    tmux.ask("/fork 1", "turn 1: 2")
    assert "* 4" in tmux.ask("/branches", "Other.")
    tmux.ask("six", "Cut in")
    os.kill(tmux.process(), signal.SIGKILL)
    tmux.then("(ended with 137)")
    assert _said() == [
        ("two", "Two words here.", "stop"),
        ("three", "Three words ", "cancelled"),
        ("three", "Three deux  more.", "stop"),
        ("three", "Again.", "stop"),
        ("2", "Other.", "stop"),
    ]
    goes_on = fake("chat", answers=["Yes."], flags={"resume": "last"}, leaves_within=DEADLINE)
    again = open_tmux(goes_on, columns=columns)
    again.then("> 2 Other.")
    again.ask("seven", "Yes.")
    again.then("Yes. >")  # a Ctrl-C before the next line is begun would be one in the answer
    again.type(CTRL_C)
    again.then("again leaves")
    again.type(CTRL_C)
    again.then("(ended with 130)")
    assert [turn.question for turn in _last().path()] == ["2", "seven"]
    for terminal in (tmux, again):
        assert "Traceback" not in terminal.seen(), terminal.seen()


@WIDTHS
def test_the_built_in_model_is_steered(open_tmux, columns: int) -> None:
    command = [*MISTRAL, "chat", "-m", "builtin", "-t", "0", "-n", "48", "--seed", "1"]
    tmux = open_tmux(command, columns=columns, rows=12, EDITOR="sed -i s/KV/token/")
    tmux.ask("What is a KV cache?", "keys")
    tmux.ask("/stats", "ended by")
    first = _last().path()[-1]
    tmux.ask('/back "keys"', "with yours.")
    tmux.ask("/alt 2", ".")
    tmux.ask("/why 1", "← ")
    tmux.ask("/retry temperature=0.5 seed=3", ".")
    tmux.type("/edit", ENTER)
    wait_until(lambda: len(_last().turns) == 4)  # until the editor is left, keys are the editor's
    tmux.ask("/branches", "* 4")
    tmux.type(CTRL_D)
    tmux.then("Kept as what-is-a-kv-cache")
    tmux.then("(ended with 0)")
    turns = list(_last().turns.values())
    assert [turn.question for turn in turns] == ["What is a KV cache?"] * 3 + ["What is a token cache?"]
    assert turns[1].answer != first.answer == turns[0].answer
    shown = "".join(tmux.seen().split())
    for turn in turns:
        assert "".join(render(turn.answer, columns=columns, color=False).split()) in shown


def test_a_shell_gets_its_terminal_back_however_a_chat_leaves_it(open_tmux) -> None:
    shell = open_tmux(["env", "PS1=shell$ ", "bash", "--norc", "--noprofile", "-i"], ready="shell$")
    as_it_was = shell.ask("stty -g", "shell$").split()[-2]
    program = " ".join(f"'{part}'" for part in fake("chat", answers=["One two three."], stops=[[1, 1]]))
    shell.ask(program, "Ctrl-D leaves")
    shell.ask("hello", "One")
    shell.type(CTRL_Z)
    assert "Stopped" in shell.then("shell$")
    shell.type("f", "g", ENTER)
    shell.wait_for_chat()
    shell.type(CTRL_C)
    shell.then("(stopped) >")  # what is typed before a line is read, the shell would read after Ctrl-Z
    shell.type("draft")
    shell.then("> draft")
    shell.type(CTRL_Z)
    assert "Stopped" in shell.then("shell$")
    assert shell.ask("stty -g", "shell$").split()[-2] == as_it_was
    shell.type("f", "g", ENTER)
    shell.then("> draft")
    for name in ("SIGTERM", "SIGHUP"):
        os.kill(shell.process(), getattr(signal, name))
        shell.then("shell$")
        assert shell.ask("stty -g", "shell$").split()[-2] == as_it_was
        shell.ask(program, "Ctrl-D leaves")
        shell.ask("hello", "One")
