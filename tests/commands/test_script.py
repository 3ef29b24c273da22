"""``mistral chat --script``: questions and commands from a file or a pipe, without a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes import FakeBackend, fake_console, fake_stdin
from mistral_cli.commands.chat import run_chat
from mistral_cli.errors import MistralError, UsageError
from mistral_cli.settings.load import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.ui.console import Console


def play(script: str, backend: FakeBackend, data: bytes = b"", **flags: object) -> Console:
    console = fake_console()
    settings = load_settings({"script": script, "store": False, **flags})
    run_chat(settings, console, stdin=fake_stdin(data), load=lambda *_: backend)
    return console


def test_each_line_of_a_file_is_a_question_or_a_command(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text("one\r\n\n/retry temperature=0\n//two\n/exit\nnot read\n")
    backend = FakeBackend(answers=["A.", "B.", "C."])
    console = play(str(path), backend)
    assert console.out.file.text == "A.\nB.\nC.\n"
    assert [prompt[-1].content for prompt in backend.prompts] == ["one", "one", "/two"]
    assert [params.temperature for params in backend.params] == [0.7, 0, 0.7]


def test_the_end_names_the_chat_that_was_left_last_and_none_that_was_deleted() -> None:
    backend = FakeBackend(answers=["A."])
    said = play("-", backend, b"one\n/new\ntwo\n", store=True).err.file.text
    assert "Kept as two." in said
    assert "Kept as one." not in said
    assert "Kept as" not in play("-", backend, b"three\n/delete!\n", store=True).err.file.text
    assert "Kept as" not in play("-", backend, b"/delete!\n", store=True, resume="two").err.file.text


def test_a_dash_takes_the_lines_of_stdin() -> None:
    assert play("-", FakeBackend(answers=["A.", "B."]), b"one\ntwo").out.file.text == "A.\nB.\n"


def test_the_first_error_ends_it() -> None:
    backend = FakeBackend(answers=["A."])
    with pytest.raises(UsageError, match="There is no command /nope") as caught:
        play("-", backend, b"one\n/nope\ntwo\n")
    assert caught.value.exit_code == 2
    assert len(backend.prompts) == 1


def test_an_error_in_an_answer_keeps_its_exit_code() -> None:
    with pytest.raises(MistralError) as caught:
        play("-", FakeBackend(error=MistralError("The logits are NaN.")), b"one\ntwo\n")
    assert caught.value.exit_code == 1


def test_a_script_that_is_not_there_is_refused_before_the_model_is_loaded() -> None:
    loads: list[int] = []
    with pytest.raises(UsageError, match="cannot be read"):
        run_chat(
            load_settings({"script": "/nowhere/x", "store": False}),
            fake_console(),
            stdin=fake_stdin(),
            load=lambda *_: loads.append(1),
        )
    assert loads == []
