"""The installed command on a real checkpoint: one question by three ways, and the first words before the last."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pexpect
import pytest
from processes import MISTRAL, environment, run

from tiny_models import write_tiny_model

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = "What is a KV cache?"
ASKED = ["--temperature", "0", "--max-tokens", "12", "--threads", "1"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("tiny")))


@pytest.mark.pty
def test_a_question_piped_or_given_or_typed_gets_the_same_answer(tiny: str) -> None:
    gen = [*MISTRAL, "gen", "--model", tiny, *ASKED]
    piped = run(gen, input=f"{QUESTION}\n".encode())
    assert (piped.returncode, piped.stderr) == (0, b"")
    given = json.loads(run([*gen, "--json", "--prompt", QUESTION]).stdout)
    assert given["text"].encode() + b"\n" == piped.stdout
    assert given["tokens"]["answer"] == 12
    chat = pexpect.spawn(
        MISTRAL[0],
        [*MISTRAL[1:], "chat", "-m", tiny, *ASKED],
        env=environment(TERM="dumb"),
        encoding="utf-8",
        timeout=60,
    )
    chat.expect("> ")
    chat.send(f"{QUESTION}\r")
    chat.expect("\r\n")
    chat.expect("> ")
    assert chat.before.replace("\r\n", "\n") == given["text"] + "\n"
    chat.sendeof()
    chat.expect(pexpect.EOF)
    chat.close()
    assert chat.exitstatus == 0


def test_a_million_spaces_are_refused_with_both_numbers(tiny: str) -> None:
    done = run([*MISTRAL, "gen", "--model", tiny], input=b" " * 1_200_000)
    assert (done.returncode, done.stdout) == (6, b"")
    assert b"tokens" in done.stderr
    assert b"8,192" in done.stderr


def test_a_device_that_is_not_there_is_a_usage_error_with_the_reason(tiny: str) -> None:
    done = run([*MISTRAL, "gen", "--model", tiny, "--device", "cuda:9", "x"])
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: --device cuda:9")
    assert done.stderr.count(b"\n") == 1


def test_lines_are_answered_and_one_that_fails_is_counted(tiny: str, tmp_path: Path) -> None:
    lines = tmp_path / "out.jsonl"
    command = [*MISTRAL, "gen", "--model", tiny, *ASKED, "--lines", "-o", str(lines)]
    done = run(command, input=b"one\n\nthree\n")
    assert (done.returncode, done.stdout) == (8, b"")
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert ["text" in row for row in rows] == [True, False, True]
