"""The installed command on a real checkpoint: one question by three ways, and Ctrl-C in a long prefill."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pexpect
import pytest
from processes import DEADLINE, MISTRAL, environment, run

from mistral_cli.measure.random_model import RandomModel, write_random_model
from mistral_cli.model.args import ModelArgs

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = "What is a KV cache?"
ASKED = ["--temperature", "0", "--max-tokens", "12", "--threads", "1", "--dtype", "float32"]
READY = r">.*?\x1b\[\?25h"
"""The prompt, drawn and waiting."""
LONG = "word " * 7000
"""Seconds of prefill for the model below."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("model")
    shape = {"dim": 256, "n_layers": 8, "head_dim": 32, "hidden_dim": 1024, "n_heads": 8, "n_kv_heads": 2}
    write_random_model(folder, RandomModel(args=ModelArgs(**shape, vocab_size=32768, sliding_window=None)))
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "mistral_cli_tokenizer": "v3"}))
    return str(folder)


@pytest.mark.pty
def test_a_question_piped_or_given_or_typed_after_a_stopped_one_gets_the_same_answer(model: str) -> None:
    gen = [*MISTRAL, "gen", "--model", model, *ASKED]
    piped = run(gen, input=f"{QUESTION}\n".encode())
    assert (piped.returncode, piped.stderr) == (0, b"")
    given = json.loads(run([*gen, "--json", "--prompt", QUESTION]).stdout)
    assert given["text"].encode() + b"\n" == piped.stdout
    assert given["tokens"]["answer"] == 12

    chat = pexpect.spawn(
        MISTRAL[0],
        [*MISTRAL[1:], "chat", "--plain", "-m", model, *ASKED],
        env=environment(TERM="xterm", NO_COLOR="1"),
        encoding="utf-8",
        timeout=DEADLINE,
        dimensions=(24, 400),  # so wide that no answer is wrapped
    )
    chat.expect(READY)
    chat.send(f"\x1b[200~{LONG}\x1b[201~\r")  # pasted: keys one by one would be drawn one by one
    chat.expect(r"Reading the prompt: [1-9][0-9,]* of 7,")
    chat.send("\x03")
    chat.expect(r"\(stopped\)")
    assert not re.search(r"7,\d{3} of 7,", chat.before)  # the rest of it was not read
    chat.expect(READY)
    chat.send(f"{QUESTION}\r")
    chat.expect(r"(?:\n|\x1b\[[0-9;?]*[A-Za-z])" + re.escape(given["text"]) + "\r\n")  # a line of its own, whole
    chat.expect(READY)
    chat.sendeof()
    chat.expect(pexpect.EOF)
    chat.close()
    assert chat.exitstatus == 0
