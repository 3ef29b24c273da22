"""``gen --lines`` as the installed command on the built-in model: side by side, in order, and however it ends."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

from processes import DEADLINE, MISTRAL, environment, run

if TYPE_CHECKING:
    from pathlib import Path

GEN = [*MISTRAL, "gen", "--lines", "--model", "builtin", "--quantize", "nf4", "--temperature", "0"]
QUESTIONS = ["What is a KV cache?", "LoRA?", "", "How do I leave the chat? " * 8, "What is NF4?", "Hello!", "  "] * 2


def test_what_a_line_is_answered_does_not_depend_on_the_batch() -> None:
    data = "\n".join(QUESTIONS).encode()
    texts = []
    for rows in ("1", "3", "8"):
        done = run([*GEN, "--batch", rows, "--max-tokens", "20", "--system", "Be brief."], input=data)
        assert (done.returncode, done.stderr) == (0, b"")
        rows_out = [json.loads(line) for line in done.stdout.splitlines()]
        assert [row["line"] for row in rows_out] == [1, 2, 4, 5, 6, 8, 9, 11, 12, 13]
        texts.append([(row["text"], row["ids"]) for row in rows_out])
    assert texts[0] == texts[1] == texts[2]


def test_ctrl_c_writes_what_there_is_in_order_and_ends_with_130(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("Tell me everything.\n" * 1000)
    command = [*GEN, "--logit-bias", "2=-1000", "--max-tokens", "40"]
    with (
        (tmp_path / "lines").open("rb") as source,
        subprocess.Popen(
            command, bufsize=0, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        ) as process,  # without a buffer, in which a second line would be lost to ``communicate``
    ):
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=DEADLINE)
    rows = [json.loads(line) for line in (first, *rest.splitlines())]
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert [row["line"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) < 1000
    assert rows[0]["reason"] == "length"
    assert {row["reason"] for row in rows} <= {"length", "cancelled"}


def test_a_reader_who_leaves_ends_endless_input_with_141_and_no_word() -> None:
    source = 'yes "Hello" | "$@" | head -n 3 | wc -l; echo "${PIPESTATUS[1]}"'
    done = run(["bash", "-c", source, "bash", *GEN, "--max-tokens", "2"])
    assert done.stdout.split() == [b"3", b"141"]
    assert done.stderr == b""


def test_the_next_line_may_wait_for_the_answer_to_the_last() -> None:
    with subprocess.Popen(
        [*GEN, "--max-tokens", "3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(1, 4):
            process.stdin.write(b"Hello\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["line"] == number
        process.stdin.close()
    assert process.returncode == 0
