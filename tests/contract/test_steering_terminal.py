"""Steering the built-in model at a real terminal: another token, another place, another question."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pexpect
import pytest
from processes import DEADLINE, MISTRAL, environment, kill

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT = [*MISTRAL, "chat", "-m", "builtin", "--seed", "1", "-n", "64", "--no-store", "--plain"]
READY = r">.*?\x1b\[\?25h"
QUESTION = "What is a KV cache?"


@pytest.fixture
def chat() -> Iterator[pexpect.spawn]:
    process = pexpect.spawn(
        CHAT[0],
        CHAT[1:],
        env=environment(TERM="xterm-256color", NO_COLOR="1", EDITOR="sed -i s/KV/token/"),
        timeout=DEADLINE,
        dimensions=(40, 200),
        encoding="utf-8",
    )
    process.delaybeforesend = None
    yield process
    kill(process)


def type_line(chat: pexpect.spawn, line: str, then: str) -> str:
    """Type a line at the prompt; return all that came until ``then``."""
    chat.expect(READY)
    chat.send(line + "\r")
    chat.expect(then)
    return chat.before + chat.after


@pytest.mark.pty
def test_an_answer_is_rewound_altered_retried_edited_and_forked(chat: pexpect.spawn) -> None:
    answer = type_line(chat, QUESTION, r"keeps the keys[^\r]*\.\r\n")
    assert type_line(chat, '/back "keys"', r"2 +[\d.]+%[^\r]*\r\n").count("▏") == 1
    other = type_line(chat, "/alt 2", r"cache keeps the[^\r]*\r\n")
    assert answer.splitlines()[-1] != other.splitlines()[-1]
    type_line(chat, "/retry temperature=0", r"The KV cache keeps the keys[^\r]*\r\n")
    type_line(chat, "/edit", r"[a-z]\.\r\n")
    type_line(chat, "/fork 1", r"goes on from turn 1: What is a token cache")
    shown = type_line(chat, "/branches", r"\* 4 +1 turn [^\r]*\r\n")
    assert len(re.findall(r"1 turn  What is a KV cache\?", shown)) == 3
    type_line(chat, "/switch 1", r"keeps the keys[^\r]*\r\n")
    chat.expect(READY)
    chat.send("/exit\r")
    chat.expect(pexpect.EOF)
    chat.close()
    assert chat.exitstatus == 0


@pytest.mark.pty
def test_confidence_underlines_where_no_colour_is_wanted(chat: pexpect.spawn) -> None:
    type_line(chat, QUESTION, r"\.\r\n")
    type_line(chat, '/back "KV"', "▏")
    type_line(chat, "/alt 3", r"\S\r\n\r\n")  # an answer, and the blank line behind it
    shown = type_line(chat, "/confidence", "below 30 %")
    assert "\x1b[1;4m" in shown
    assert "38;5" not in shown


def test_a_script_with_a_seed_says_the_same_twice() -> None:
    script = f'{QUESTION}\n/back 5\n/alt 2\n/retry seed=7\n/insert " And"\n/confidence\n'
    command = [*MISTRAL, "chat", "--script", "-", "-m", "builtin", "--seed", "3", "-n", "24", "--no-store"]
    runs = [
        subprocess.run(command, input=script.encode(), capture_output=True, check=True, timeout=DEADLINE)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert b"\x1b" not in runs[0].stdout + runs[0].stderr


def test_an_unknown_command_in_a_script_is_exit_code_two() -> None:
    command = [*MISTRAL, "chat", "--script", "-", "-m", "builtin", "--no-store"]
    run = subprocess.run(command, input=b"/nope\n", capture_output=True, check=False, timeout=DEADLINE)
    assert run.returncode == 2
    assert b"There is no command /nope" in run.stderr
    assert b"Traceback" not in run.stderr
