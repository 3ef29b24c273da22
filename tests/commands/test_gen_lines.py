"""Each line of stdin a prompt, one JSON object a line out."""

from __future__ import annotations

import json
import os
import signal

import pytest
from gen_runs import ask

from fakes import FakeBackend, fake_console, fake_stdin
from mistral_cli.commands.gen import run_gen
from mistral_cli.errors import PartialFailureError, UsageError
from mistral_cli.settings.load import load_settings


def _objects(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_is_answered_in_order() -> None:
    run = ask(lines=True, stdin=b"one\r\ntwo\nthree", backend=FakeBackend(answers=["A.", "B.", "C."]))
    assert [(row["line"], row["text"]) for row in _objects(run.out)] == [(1, "A."), (2, "B."), (3, "C.")]
    assert [prompt[0].content for prompt in run.backend.prompts] == ["one", "two", "three"]
    assert (run.code, run.loads) == (0, 1)


def test_the_prompt_and_the_files_stand_before_each_line(tmp_path) -> None:
    (tmp_path / "f").write_text("F\n")
    run = ask(lines=True, prompt="P", file=[str(tmp_path / "f")], stdin=b"one\ntwo\n", system="S")
    assert [[message.content for message in prompt] for prompt in run.backend.prompts] == [
        ["S", "P\n\nF\n\none"],
        ["S", "P\n\nF\n\ntwo"],
    ]


def test_a_line_that_fails_is_an_object_with_its_error_and_the_others_are_done() -> None:
    console = fake_console()
    with pytest.raises(PartialFailureError, match="2 of 4 lines failed") as caught:
        ask(lines=True, stdin=b"one\n\n" + b"w " * 100 + b"\nfour\n", console=console)
    assert caught.value.exit_code == 8
    rows = _objects(console.out.file.text)
    assert [row["line"] for row in rows] == [1, 2, 3, 4]
    assert rows[1] == {"line": 2, "error": "The line is empty.", "exit_code": 2}
    assert "100 tokens" in rows[2]["error"]
    assert rows[2]["exit_code"] == 6
    assert rows[3]["text"] == "Hello there, friend."


def test_an_answer_is_out_before_the_next_line_is_read() -> None:
    class Watched:
        def __init__(self) -> None:
            self.lines = iter([b"one\n", b"two\n", b""])
            self.seen: list[int] = []

        def readline(self, _limit: int) -> bytes:
            self.seen.append(console.out.file.text.count("\n"))
            return next(self.lines)

    console, watched = fake_console(), Watched()
    stdin = fake_stdin(b"")
    object.__setattr__(stdin, "file", watched)
    run_gen(load_settings({"lines": True}), console, stdin=stdin, load=lambda *_: FakeBackend())
    assert watched.seen == [0, 1, 2]


def test_log_probabilities_need_no_further_flag() -> None:
    run = ask(lines=True, stdin=b"one\n", logprobs=1)
    assert len(_objects(run.out)[0]["logprobs"]) == 3


def test_ctrl_c_ends_the_batch_after_the_partial_answer() -> None:
    backend = FakeBackend(answers=["One two three"])
    backend.before_piece = lambda number, _cancel: os.kill(os.getpid(), signal.SIGINT) if number == 1 else None
    run = ask(lines=True, stdin=b"one\ntwo\n", backend=backend)
    assert run.code == 130
    assert [(row["text"], row["reason"]) for row in _objects(run.out)] == [("One ", "cancelled")]


@pytest.mark.parametrize("flags", [{"stdin": False}, {"file": ["-"]}, {"system_file": "-"}])
def test_what_cannot_go_with_it_is_refused(flags: dict) -> None:
    with pytest.raises(UsageError, match="--lines"):
        run_gen(
            load_settings({"lines": True, **flags}),
            fake_console(),
            stdin=fake_stdin(b"x"),
            load=lambda *_: FakeBackend(),
        )


def test_no_line_at_all_is_no_failure() -> None:
    run = ask(lines=True, stdin=b"")
    assert (run.code, run.out) == (0, "")
