"""The installed command on a real checkpoint: one question by three ways."""

from __future__ import annotations

import json

import pexpect
import pytest
from processes import MISTRAL, environment, run

from tiny_models import write_tiny_model

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
