"""The input line at a real terminal: each key shows, and keys that are typed while nobody reads are kept."""

from __future__ import annotations

import os
import termios
import threading
from pathlib import Path

import pytest
from processes import fake, wait_until
from terminals import CTRL_C, CTRL_D, CTRL_Z, READY

from mistral_cli.chat.store import open_store

pytestmark = pytest.mark.pty

WORDS = "One two three."


@pytest.fixture
def earlier_lines() -> None:
    """Keep ten thousand lines that were typed before."""
    store = open_store(Path(os.environ["MISTRAL_CLI_HOME"]) / "chats.db")
    with store.together() as database:
        lines = [(f"question {number} about this and that, of a usual length",) for number in range(10_000)]
        database.executemany("INSERT INTO inputs (text) VALUES (?)", lines)
    store.close()


def test_each_key_shows_before_the_next_with_ten_thousand_earlier_lines(open_terminal, earlier_lines: None) -> None:
    terminal = open_terminal(fake("chat"))
    terminal.expect(READY)
    for key in "question 12 and other words":
        terminal.type(key)
        terminal.expect(r"\x1b\[\?25h")  # the cursor is shown again when all is drawn
    terminal.type("\r")
    terminal.expect("Hello there, friend.")
    terminal.expect("question-12-and-other-words")  # the toolbar names the chat by its question


def test_what_is_typed_while_an_answer_comes_is_sent_after_it(open_terminal, gate: Path) -> None:
    terminal = open_terminal(fake("chat", answers=[WORDS, "Second.", "Third."], gate=str(gate)))
    terminal.ask("one")
    terminal.expect("One ")
    terminal.type("two\nlines\r\x1b[200~pasted\rin two\x1b[201~")
    gate.touch()
    terminal.expect(r"Second\.")
    shown = terminal.expect("in two")
    terminal.type("\r")
    terminal.expect(r"Third\.")
    assert "two\r\n" not in shown
    terminal.ask("/show 2")
    assert "two\r\nlines\r\nSecond." in terminal.expect(r"Second\.")
    terminal.ask("/show 3")
    assert "pasted\r\nin two\r\nThird." in terminal.expect(r"Third\.")


def test_more_than_a_terminal_s_line_may_be_typed_ahead(open_terminal, gate: Path) -> None:
    text = "x" * 6000
    terminal = open_terminal(fake("chat", answers=["One two.", "Second."], gate=str(gate)))
    terminal.ask("one")
    terminal.expect("One ")
    typing = threading.Thread(target=terminal.type, args=[text + "\r"])  # the kernel takes 4,095 bytes unread
    typing.start()
    gate.touch()
    terminal.expect(r"Second\.")
    typing.join()
    terminal.ask("/show 2")
    shown = terminal.expect(r"Second\.")
    assert shown.count("x") == len(text)


def test_ctrl_c_in_an_answer_keeps_what_was_typed(open_terminal, gate: Path) -> None:
    terminal = open_terminal(fake("chat", answers=[WORDS, "Second."], gate=str(gate)))
    terminal.ask("one")
    terminal.expect("One ")
    terminal.type("typed before")
    terminal.type(CTRL_C)
    terminal.expect(r"\(stopped\)")
    gate.touch()
    terminal.expect("typed before")
    terminal.type("\r")
    terminal.expect(r"Second\.")


def test_ctrl_d_in_an_answer_leaves_after_it(open_terminal, gate: Path) -> None:
    terminal = open_terminal(fake("chat", answers=[WORDS], gate=str(gate)))
    terminal.ask("one")
    terminal.expect("One ")
    terminal.type(CTRL_D)
    gate.touch()
    assert terminal.end() == 0
    assert "two three." in terminal.seen


def test_what_is_typed_while_the_program_starts_is_sent_when_it_reads(open_terminal) -> None:
    terminal = open_terminal(fake("chat"))
    terminal.type("early\r")
    terminal.expect(r"Hello there, friend\.")


def test_a_question_of_ours_and_another_program_get_whole_lines(open_terminal, tmp_path: Path) -> None:
    path = tmp_path / "answer.txt"
    path.write_text("old")
    terminal = open_terminal(fake("chat"), SHELL="/bin/sh")
    terminal.ask("one")
    terminal.ask(f"/write {path}")
    terminal.expect(r"Replace it\?")
    terminal.type("y\r")
    terminal.expect("Wrote")
    terminal.ask("/pipe echo begun; read line < /dev/tty; echo got:$line")
    terminal.expect("(?<!echo )begun\r\n")
    terminal.type("typed\r")
    terminal.expect("got:typed")
    assert path.read_text() == "Hello there, friend.\n"


def test_a_line_typed_while_another_program_has_the_terminal_is_sent_after_it(open_terminal, gate: Path) -> None:
    terminal = open_terminal(fake("chat", answers=["First.", "Second."]), SHELL="/bin/sh")
    terminal.ask("one")
    terminal.ask(f"/pipe echo begun; until test -e {gate}; do sleep 0.1; done")
    terminal.expect("(?<!echo )begun\r\n")
    terminal.type("two\r")
    gate.touch()
    terminal.expect(r"Second\.")


def test_the_editor_opens_on_the_line(open_terminal) -> None:
    terminal = open_terminal(fake("chat", answers=[]), VISUAL="sed -i s/draft/edited/")
    terminal.expect(READY)
    terminal.type("a draft\x18\x05")
    terminal.expect("a edited|edited")
    terminal.type("\r")
    terminal.expect("a edited\r\n")


def test_after_ctrl_z_and_back_an_enter_typed_ahead_still_sends(open_terminal, gate: Path) -> None:
    shell = open_terminal(["bash", "--norc", "--noprofile", "-i"], PS1="shell$ ")
    shell.expect(r"shell\$ ")
    program = fake("chat", answers=[WORDS, "Second."], gate=str(gate))
    shell.type(" ".join("'" + part.replace("'", "'\\''") + "'" for part in program) + "\r")
    shell.ask("one")
    shell.expect("One ")
    shell.type(CTRL_Z)
    shell.expect("Stopped")
    shell.expect(r"shell\$ ")
    shell.type("fg\r")
    wait_until(lambda: termios.tcgetattr(shell.process.child_fd)[3] & termios.NOFLSH)  # no shell asks for that
    shell.type("two\r")
    gate.touch()
    shell.expect(r"three\.")
    shell.expect(r"Second\.")
    shell.ask("/exit")
    shell.expect(r"shell\$ ")
    shell.type("echo typed\r")
    shell.expect("(?<!echo )typed\r\n")


def test_ctrl_c_is_that_program_s_own_which_has_the_terminal(open_terminal) -> None:
    terminal = open_terminal(fake("chat"), SHELL="/bin/sh")
    terminal.ask("one")
    terminal.ask("/pipe trap '' INT; echo begun; read line < /dev/tty; echo got:$line")
    terminal.expect("(?<!echo )begun\r\n")
    terminal.type(CTRL_C + "typed\r")
    terminal.expect("got:typed")
    terminal.ask("/pipe echo begun; read line < /dev/tty")  # a shell between two programs may lose a Ctrl-C
    terminal.expect("(?<!echo )begun\r\n")
    terminal.type(CTRL_C)
    terminal.ask("still here")
    terminal.expect("Hello there, friend.")


def test_a_line_outlives_ctrl_c_in_its_editor(open_terminal, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\ntrap '' INT; echo begun; read line < /dev/tty; printf %s \"$line\" > $1\n")
    editor.chmod(0o700)
    terminal = open_terminal(fake("chat", answers=[]), VISUAL=str(editor))
    terminal.expect(READY)
    terminal.type("draft\x18\x05")
    terminal.expect("begun\r\n")
    terminal.type(CTRL_C + "edited\r")
    terminal.expect(READY)
    terminal.type("\r")
    terminal.expect("edited\r\n")
