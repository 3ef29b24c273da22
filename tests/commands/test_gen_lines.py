"""Each line of stdin a prompt, one JSON object a line out."""

from __future__ import annotations

import json
import os
import signal

import pytest
from gen_runs import ask

from fakes import FakeBackend, FakeScreen, fake_console, fake_stdin
from mistral_cli.commands.gen import run_gen
from mistral_cli.errors import PartialFailureError, UsageError
from mistral_cli.settings.load import load_settings
from mistral_cli.ui.stdin import Stdin


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
        ask(lines=True, stdin=b"one\n" + b"w " * 100 + b"\nthree\n" + b"w " * 99 + b"\n", console=console)
    assert caught.value.exit_code == 8
    rows = _objects(console.out.file.text)
    assert [row["line"] for row in rows] == [1, 2, 3, 4]
    assert "100 tokens" in rows[1]["error"]
    assert rows[1].keys() == {"line", "error", "exit_code"}
    assert [row.get("exit_code") for row in rows] == [None, 6, None, 6]
    assert rows[2]["text"] == "Hello there, friend."


def test_blank_lines_are_skipped_but_counted() -> None:
    run = ask(lines=True, stdin=b"one\n\n \t\r\nfour\n\n")
    assert run.code == 0
    assert [row["line"] for row in _objects(run.out)] == [1, 4]


def test_an_answer_is_out_before_the_next_line_is_waited_for() -> None:
    reading, writing = os.pipe()

    class Screen(FakeScreen):
        """A reader who writes the next line when the answer to the last has come."""

        def write(self, data: bytes) -> int:
            size = super().write(data)
            if self.text.count("\n") == 1:
                os.write(writing, b"two\n")
            elif self.text.count("\n") == 2:
                os.close(writing)
            return size

    console = fake_console()
    console.out.file = Screen()
    os.write(writing, b"one\n")
    with os.fdopen(reading, "rb") as file:
        run_gen(load_settings({"lines": True}), console, stdin=Stdin(file=file), load=lambda *_: FakeBackend())
    assert [row["line"] for row in _objects(console.out.file.text)] == [1, 2]


def test_log_probabilities_need_no_further_flag() -> None:
    run = ask(lines=True, stdin=b"one\n", logprobs=1)
    assert len(_objects(run.out)[0]["logprobs"]) == 3


def test_ctrl_c_ends_the_batch_after_the_partial_answer() -> None:
    backend = FakeBackend(answers=["One two three"])
    backend.before_piece = lambda number, _cancel: os.kill(os.getpid(), signal.SIGINT) if number == 1 else None
    run = ask(lines=True, stdin=b"one\ntwo\n", backend=backend)
    assert run.code == 130
    assert [(row["text"], row["reason"]) for row in _objects(run.out)] == [("One ", "cancelled")]


def test_ctrl_c_while_waiting_for_a_line_ends_the_batch() -> None:
    reading, writing = os.pipe()
    console = fake_console()
    console.out.file = type("Struck", (FakeScreen,), {"flush": lambda _self: os.kill(os.getpid(), signal.SIGINT)})()
    os.write(writing, b"one\n")
    with os.fdopen(reading, "rb") as file:
        code = run_gen(load_settings({"lines": True}), console, stdin=Stdin(file=file), load=lambda *_: FakeBackend())
    os.close(writing)
    assert code == 130
    assert len(_objects(console.out.file.text)) == 1


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


def test_a_batch_without_lines_is_refused_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--batch needs --lines"):
        ask(prompt="Hello", batch=4)
    monkeypatch.setenv("MISTRAL_CLI_BATCH", "4")
    assert ask(prompt="Hello").code == 0


def test_statistics_of_each_line_and_of_all() -> None:
    run = ask(lines=True, stdin=b"one\ntwo\n", stats=True)
    last = run.err.splitlines()[-1]
    assert "line 2 · prompt 1 tokens" in run.err
    assert last.startswith("2 lines · 6 tokens · ")
    assert last.endswith("tokens/s in all")


def test_what_a_reader_of_the_text_would_miss_is_said_with_the_line() -> None:
    run = ask(lines=True, stdin=b"one\ntwo\n", backend=FakeBackend(answers=["A.", []]))
    assert "line 2: (empty answer)" in run.err
