"""The program at a real terminal: keys in, screen out."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from processes import DEADLINE, MISTRAL, fake, wait_until
from terminals import CTRL_C, CTRL_D, CTRL_Z, READY, UP

pytestmark = pytest.mark.pty


def test_a_conversation_and_its_end_by_ctrl_d(open_terminal) -> None:
    terminal = open_terminal(fake("chat", answers=["First answer.", "Second answer."]))
    terminal.ask("one")
    terminal.expect("First answer.\r\n")
    terminal.ask("")
    terminal.ask("two")
    terminal.expect("Second answer.\r\n")
    terminal.expect(READY)
    terminal.type(CTRL_D)
    assert terminal.end() == 0
    assert "Traceback" not in terminal.seen


def test_ctrl_c_stops_an_answer_and_keeps_the_chat(open_terminal, gate: Path) -> None:
    terminal = open_terminal(fake("chat", answers=["One two three.", "Second answer."], gate=str(gate)))
    terminal.ask("one")
    terminal.expect("One ")
    terminal.type(CTRL_C)
    terminal.expect(r"\(stopped\)")
    gate.touch()
    terminal.ask("two")
    terminal.expect("Second answer.")
    terminal.ask("/exit")
    assert terminal.end() == 0
    assert "three" not in terminal.seen


def test_ctrl_c_in_an_answer_and_at_once_again_leaves_with_130(open_terminal, gate: Path) -> None:
    terminal = open_terminal(fake("chat", answers=["One two three."], gate=str(gate), leaves_within=DEADLINE))
    terminal.ask("one")
    terminal.expect("One ")
    terminal.type(CTRL_C)
    terminal.expect(READY)
    terminal.type(CTRL_C)
    assert terminal.end() == 130


def test_ctrl_c_twice_at_the_prompt_leaves_with_130(open_terminal) -> None:
    terminal = open_terminal(fake("chat", leaves_within=DEADLINE))
    terminal.expect(READY)
    terminal.type(CTRL_C)
    terminal.expect("again leaves")
    terminal.expect(READY)
    terminal.type(CTRL_C)
    assert terminal.end() == 130
    assert "Traceback" not in terminal.seen


def test_what_was_typed_comes_back_with_the_arrow_key_in_the_next_chat(open_terminal) -> None:
    terminal = open_terminal(fake("chat"))
    terminal.ask("a question to keep")
    terminal.ask("/exit")
    assert terminal.end() == 0
    path = Path(os.environ["MISTRAL_CLI_HOME"]) / "chats.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    terminal = open_terminal(fake("chat"))
    terminal.expect(READY)
    terminal.type(UP + UP)
    terminal.expect("a question to keep")
    terminal.type("\r")
    terminal.expect("Hello there, friend.")


def test_a_question_longer_than_the_context_is_not_lost(open_terminal) -> None:
    terminal = open_terminal(fake("chat"))
    terminal.ask("w " * 70)
    terminal.expect("The prompt has 70 tokens, but the context holds 64")
    terminal.expect("> .*w w w")
    terminal.type(CTRL_C + "short\r")
    terminal.expect("Hello there, friend.")
    assert "again leaves" not in terminal.seen


def test_where_nothing_can_be_kept_it_is_said_once_and_the_chat_goes_on(open_terminal) -> None:
    terminal = open_terminal(fake("chat", answers=["One.", "Two."]), MISTRAL_CLI_HOME="/proc/nowhere")
    terminal.ask("one")
    terminal.expect("One.\r\n")
    terminal.ask("two")
    terminal.expect("Two.\r\n")
    terminal.ask("/exit")
    assert terminal.end() == 0
    assert terminal.seen.count("The chat goes on, but is not kept") == 1


def test_a_base_model_is_refused(open_terminal) -> None:
    terminal = open_terminal(fake("chat", is_base=True))
    assert terminal.end() == 2
    assert "base model" in terminal.seen
    assert "mistral gen" in terminal.seen


@pytest.mark.parametrize("command", ["chat", "gen"])
def test_what_a_model_says_cannot_drive_the_terminal(open_terminal, command: str) -> None:
    pieces = ["a \x1b", "]52;c;eA==\x07 \x1b[31m", "b\x9b1m \u202e", "[/INST] [bold] \u200b\u2028 é", "😀"]
    terminal = open_terminal(fake(command, answers=[pieces]))
    if command == "chat":
        terminal.ask("one")
    shown = terminal.expect("😀")
    line = shown[shown.rindex("a \u241b") :]
    assert line == "a \u241b]52;c;eA==\u2407 \u241b[31mb<U+009B>1m <U+202E>[/INST] [bold] <U+200B><U+2028> é😀"


def test_a_dumb_terminal_of_twenty_columns_gets_plain_text(open_terminal, gate: Path) -> None:
    for kind in ("dumb", None):
        terminal = open_terminal(fake("chat", answers=["One two three.", "Second."]), TERM=kind, columns=20)
        terminal.expect("> ")
        terminal.type("one\r")
        terminal.expect("One two three.\r\n")
        terminal.expect("> ")
        terminal.type("/nope\r")
        terminal.expect("error: There is no\r\ncommand /nope")
        terminal.expect("> ")
        terminal.type(CTRL_D)
        assert terminal.end() == 0
        assert "\x1b" not in terminal.seen


def test_ctrl_c_at_a_dumb_terminal_s_prompt_does_not_leave_alone(open_terminal) -> None:
    terminal = open_terminal(fake("chat", leaves_within=DEADLINE), TERM="dumb")
    terminal.expect("> ")
    terminal.type(CTRL_C)
    terminal.expect("again leaves")
    terminal.expect("> ")
    terminal.type(CTRL_C)
    assert terminal.end() == 130


def test_without_colour_there_is_none(open_terminal) -> None:
    terminal = open_terminal(fake("chat"), NO_COLOR="1")
    terminal.ask("one")
    terminal.expect("friend.")
    terminal.ask("/nope")
    terminal.ask("/exit")
    assert terminal.end() == 0
    colours = re.findall(r"\x1b\[[0-9;]*m", terminal.seen)
    assert set(colours) <= {"\x1b[0m", "\x1b[m"}


def test_twenty_columns_are_enough(open_terminal) -> None:
    terminal = open_terminal(fake("chat"), columns=20)
    terminal.ask("a question that is longer than one row of this screen")
    terminal.expect("Hello there, friend.")
    terminal.ask("/exit")
    assert terminal.end() == 0


def test_bytes_that_are_not_utf8_can_be_typed(open_terminal) -> None:
    terminal = open_terminal(fake("chat"))
    terminal.ask("a\udcffb")
    terminal.expect("Hello there, friend.")
    terminal.ask("/exit")
    assert terminal.end() == 0
    assert "Traceback" not in terminal.seen


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_what_is_typed_is_utf8_whatever_the_locale_says(open_terminal, kind: str) -> None:
    changes = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    terminal = open_terminal(fake("chat", answers=[]), TERM=kind, **changes)
    terminal.expect(">")
    terminal.type("say é😀\r")
    terminal.expect("\nsay é😀\r\n" if kind == "dumb" else "say é😀\r\n.*>")


def test_a_resize_in_the_middle_of_an_answer_loses_and_doubles_nothing(open_terminal, gate: Path) -> None:
    words = " ".join(f"word{number}" for number in range(100))
    terminal = open_terminal(fake("chat", answers=[words], context=200, gate=str(gate)), columns=40)
    terminal.ask("one")
    terminal.expect("word0 ")
    terminal.process.setwinsize(10, 30)
    gate.touch()
    terminal.expect("word99\r\n")
    assert re.findall(r"word\d+", terminal.seen) == words.split()


@pytest.mark.parametrize("is_answering", [False, True])
def test_being_terminated_restores_the_terminal(open_terminal, gate: Path, is_answering: bool) -> None:
    waits = ["bash", "-c", 'read && exec "$@"', "bash"]  # until it is known how the terminal was
    terminal = open_terminal([*waits, *fake("chat", gate=str(gate))])
    before = termios.tcgetattr(terminal.process.child_fd)
    terminal.type("\r")
    terminal.expect(READY)
    if is_answering:
        terminal.type("one\r")
        terminal.expect("Hello ")
    else:
        assert not termios.tcgetattr(terminal.process.child_fd)[3] & termios.ECHO
    terminal.process.kill(signal.SIGTERM)
    wait_until(lambda: termios.tcgetattr(terminal.process.child_fd)[3] & termios.ECHO)
    assert termios.tcgetattr(terminal.process.child_fd)[:4] == before[:4]
    assert terminal.end() == 143
    assert "Traceback" not in terminal.seen


@pytest.mark.parametrize("is_answering", [False, True])
def test_a_closed_window_ends_it(open_terminal, gate: Path, is_answering: bool) -> None:
    terminal = open_terminal(fake("chat", gate=str(gate)))
    terminal.expect(READY)
    if is_answering:
        terminal.type("one\r")
        terminal.expect("Hello ")
    terminal.hang_up()
    wait_until(lambda: not terminal.process.isalive())


def test_ctrl_z_and_back(open_terminal) -> None:
    shell = open_terminal(["bash", "--norc", "--noprofile", "-i"], PS1="shell$ ")
    shell.expect(r"shell\$ ")
    program = fake("chat")
    script = " ".join("'" + part.replace("'", "'\\''") + "'" for part in program)
    shell.type(script + "\r")
    shell.expect(READY)
    shell.type("one")
    shell.expect("one")
    shell.type(CTRL_Z)
    shell.expect("Stopped")
    shell.expect(r"shell\$ ")
    shell.type("fg\r")
    assert "one" in shell.expect(READY)
    shell.type("\r")
    shell.expect("Hello there, friend.")
    shell.expect(READY)
    shell.type(CTRL_D)
    shell.expect(r"shell\$ ")


def test_bare_mistral_at_a_terminal_is_a_chat(open_terminal) -> None:
    terminal = open_terminal(MISTRAL, MISTRAL_CLI_MODEL="./nothing")
    assert terminal.end() == 3
    assert "No model at './nothing'" in terminal.seen


def test_progress_keeps_to_the_width_that_the_window_has_now(open_terminal, gate: Path) -> None:
    terminal = open_terminal(fake("chat", gate=str(gate), gate_at=0), columns=60)
    terminal.ask("one")
    terminal.expect(". Reading the prompt: 1 of 1 tokens")
    terminal.process.setwinsize(24, 20)
    terminal.expect("\x1b\\[K\x1b\\[2m. Reading the promp\x1b\\[0m")
    gate.touch()
    assert terminal.expect("Hello ").endswith("\r\x1b[KHello ")


def test_stderr_may_be_elsewhere(open_terminal, tmp_path: Path) -> None:
    terminal = open_terminal(["bash", "-c", f'"$@" 2>{tmp_path}/log', "bash", *fake("chat")])
    terminal.ask("one")
    terminal.expect("Hello there, friend.")
    terminal.ask("/exit")
    assert terminal.end() == 0
    log = (tmp_path / "log").read_text()
    assert "context 64 tokens" in log
    assert "\x1b" not in log


def test_what_prompt_toolkit_logs_does_not_reach_the_screen() -> None:
    code = (
        "import logging, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from fakes import FakeBackend, fake_console\n"
        "from mistral_cli.contract import SamplingParams\n"
        "from mistral_cli.ui.history import KeptHistory\n"
        "from mistral_cli.ui.keyboard.line import Keyboard\n"
        "from mistral_cli.ui.repl import Repl\n"
        "chat = Repl(backend=FakeBackend(), params=SamplingParams(), console=fake_console(), read=input)\n"
        "Keyboard(chat, KeptHistory(chat.keeper))\n"
        "logging.getLogger('prompt_toolkit.buffer').error('Loading history failed')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Loading history failed" not in run.stderr
