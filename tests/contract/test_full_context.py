"""A context that is full: one key at a terminal decides, a script ends with exit code 6, settings decide beforehand."""

from __future__ import annotations

import pexpect
import pytest
from processes import DEADLINE, environment, fake, run

READY = r">.*?\x1b\[\?25h"
FILLS = "word " * 39 + "end."
LONG = "question " * 16
"""With the turn before it and room for an answer, one token more than the context of 64 holds."""


@pytest.mark.pty
@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_one_key_leaves_the_oldest_turn_out_and_another_keeps_the_line(term: str) -> None:
    command = fake("chat", answers=[FILLS, "It fits."], flags={"store": False})
    chat = pexpect.spawn(
        command[0],
        command[1:],
        env=environment(TERM=term, NO_COLOR="1", COLUMNS=None, LINES=None),
        timeout=DEADLINE,
        dimensions=(24, 300),
        encoding="utf-8",
    )
    chat.delaybeforesend = None
    ready = READY if term != "dumb" else "> "
    chat.expect(ready)
    chat.send("Begin.\r")
    chat.expect(r"end\.\r\n")
    chat.expect(ready)
    chat.send(LONG + "\r")
    chat.expect(r"Press d to leave out turn 1 \(41 tokens\) and send it, any other key not to send it\.\r\n")
    chat.send("n")
    chat.expect(r"\(not sent\)\r\n")
    chat.expect(ready)
    chat.send("\r" if term != "dumb" else LONG + "\r")  # the line stands there again, where it can
    chat.expect(r"Press d [^\r]*\r\n")
    chat.send("d")
    chat.expect(r"the prompt goes without turn 1 \(41 tokens\)\. The chat keeps what was said\.\r\n")
    chat.expect(r"It fits\.\r\n")
    chat.expect(ready)
    chat.send("\x04")
    chat.expect(pexpect.EOF)
    chat.close()
    assert chat.exitstatus == 0


@pytest.mark.pty
def test_ctrl_c_at_the_question_sends_nothing_and_the_terminal_is_as_before() -> None:
    command = fake("chat", answers=[FILLS, "It fits."], flags={"store": False})
    chat = pexpect.spawn(
        command[0], command[1:], env=environment(TERM="xterm", NO_COLOR="1"), timeout=DEADLINE, encoding="utf-8"
    )
    chat.delaybeforesend = None
    for line, then in (("Begin.", r"end\.\r\n"), (LONG, r"Press d ")):
        chat.expect(READY)
        chat.send(line + "\r")
        chat.expect(then)
    chat.send("\x03")
    chat.expect(r"\(not sent\)\r\n")
    chat.expect(READY)
    chat.send("\x15short\r")  # the line that stands there again is erased
    chat.expect(r"It fits\.\r\n")
    chat.expect(READY)
    chat.send("\x04")
    chat.expect(pexpect.EOF)
    chat.close()
    assert chat.exitstatus == 0


def test_a_script_ends_with_exit_code_six_and_both_numbers() -> None:
    ended = run(fake("chat", answers=[FILLS], flags={"script": "-"}), input=f"Begin.\n{LONG}\n".encode())
    assert ended.returncode == 6
    assert b"error: The prompt takes 57 tokens and 8 are kept for the answer, but the context holds 64." in ended.stderr


def test_the_environment_may_decide_that_turns_are_left_out() -> None:
    command = fake("chat", answers=[FILLS, "It fits."], flags={"script": "-"})
    changed = environment(MISTRAL_CLI_OVERFLOW="drop-oldest")
    ended = run(command, input=f"Begin.\n{LONG}\n".encode(), env=changed)
    assert (ended.returncode, ended.stdout.decode()) == (0, f"{FILLS}\nIt fits.\n")
    assert b"the prompt goes without turn 1 (41 tokens)" in ended.stderr
