"""What of arguments, files and stdin the model is sent."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from gen_runs import ask

from fakes import BASE_INFO, FakeBackend, fake_console, fake_stdin
from mistral_cli.commands.gen import run_gen
from mistral_cli.contract import Message
from mistral_cli.errors import ContextError, UsageError
from mistral_cli.settings.load import load_settings
from mistral_cli.ui.stdin import INPUT_LIMIT, Stdin

if TYPE_CHECKING:
    from pathlib import Path


def _file(tmp_path: Path, name: str, text: str | bytes) -> str:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_the_prompt_is_followed_by_the_files_and_stdin_with_blank_lines_between(tmp_path: Path) -> None:
    files = [_file(tmp_path, "a", "A\n"), _file(tmp_path, "b", "B")]
    assert ask(prompt="P", file=files, stdin=b"S\n").prompt == "P\n\nA\n\nB\n\nS"


def test_stdin_where_a_dash_names_it_stands_there_and_not_again(tmp_path: Path) -> None:
    assert ask(prompt="P", file=["-", _file(tmp_path, "b", "B")], stdin=b"S\n").prompt == "P\n\nS\n\nB"


def test_stdin_alone_is_the_prompt() -> None:
    assert ask(stdin=b"S").prompt == "S"


def test_a_piped_question_is_the_same_as_an_argument() -> None:
    assert ask(stdin=b"What is a KV cache?\n").backend.prompts == ask(prompt="What is a KV cache?").backend.prompts


def test_stdin_is_left_alone_when_that_is_asked() -> None:
    stdin = fake_stdin(b"S")
    backend = FakeBackend()
    run_gen(load_settings({"prompt": "P", "stdin": False}), fake_console(), stdin=stdin, load=lambda *_: backend)
    assert backend.prompts == [(Message(role="user", content="P"),)]
    assert stdin.file.read() == b"S"


def test_a_terminal_is_not_read_unasked_but_a_dash_asks() -> None:
    stdin = Stdin(file=io.BytesIO(b"typed"), is_terminal=True)
    for flags, sent in (({"prompt": "P"}, "P"), ({"prompt": "P", "file": ["-"]}, "P\n\ntyped")):
        backend = FakeBackend()
        run_gen(load_settings(flags), fake_console(), stdin=stdin, load=lambda *_, backend=backend: backend)
        assert backend.prompts[0][-1].content == sent


def test_a_closed_stdin_is_no_prompt_and_no_error() -> None:
    backend = FakeBackend()
    run_gen(load_settings({"prompt": "P"}), fake_console(), stdin=Stdin(file=None), load=lambda *_: backend)
    assert len(backend.prompts) == 1


@pytest.mark.parametrize(
    ("flags", "stdin"),
    [
        ({}, None),
        ({}, b""),
        ({}, b"\n"),
        ({"prompt": ""}, None),
        ({"system": "S", "prefix": "x"}, b""),
        ({"raw": True}, b""),
    ],
)
def test_an_empty_prompt_is_refused_before_anything_is_loaded(flags: dict, stdin: bytes | None) -> None:
    loads = []
    with pytest.raises(UsageError, match="The prompt is empty"):
        run_gen(load_settings(flags), fake_console(), stdin=fake_stdin(stdin), load=lambda *_: loads.append(1))
    assert loads == []


def test_spaces_are_a_prompt() -> None:
    assert ask(stdin=b"   ").prompt == "   "


def test_what_is_not_utf8_is_replaced_and_warned_of_once() -> None:
    run = ask(stdin=b"a\xff\xfe b")
    assert run.prompt == "a\ufffd\ufffd b"
    assert run.err.count("warning:") == 1


def test_nul_crlf_and_inner_boms_are_kept() -> None:
    assert ask(stdin=b"\xef\xbb\xbfa\0\r\nb\xef\xbb\xbf").prompt == "a\0\r\nb\ufeff"


def test_stdin_of_a_hundred_megabytes_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(ContextError, match=f"{INPUT_LIMIT:,}"):
        ask(stdin=bytes(INPUT_LIMIT + 1))


def test_asking_for_stdin_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        ask(file=["-", "-"], stdin=b"S")


def test_a_dash_without_stdin_is_refused() -> None:
    settings = load_settings({"prompt": "P", "file": ["-"], "stdin": False})
    with pytest.raises(UsageError, match="--no-stdin"):
        run_gen(settings, fake_console(), stdin=fake_stdin(b"S"), load=lambda *_: FakeBackend())


def test_the_system_prompt_comes_first() -> None:
    run = ask(prompt="P", system="S")
    assert run.backend.prompts == [(Message(role="system", content="S"), Message(role="user", content="P"))]


def test_the_system_prompt_comes_from_a_file_or_from_stdin(tmp_path: Path) -> None:
    for flags in ({"system_file": _file(tmp_path, "s", "S\n")}, {"system_file": "-", "stdin": b"S\n"}):
        assert ask(prompt="P", **flags).backend.prompts[0][0] == Message(role="system", content="S")


def test_a_prefix_is_the_beginning_of_the_answer() -> None:
    run = ask(prompt="P", prefix="1. ")
    assert run.backend.prompts[0][-1] == Message(role="assistant", content="1. ", prefix=True)


def test_raw_sends_the_very_bytes_and_the_prefix_after_them() -> None:
    assert ask(stdin=b"def f():\n", raw=True, prefix="    ").backend.prompts == ["def f():\n    "]


def test_raw_cannot_carry_a_system_prompt() -> None:
    with pytest.raises(UsageError, match="--raw"):
        ask(prompt="P", system="S", raw=True)


def test_a_base_model_is_sent_the_text_with_a_notice() -> None:
    run = ask(prompt="Once upon", backend=FakeBackend(info=BASE_INFO))
    assert run.backend.prompts == ["Once upon"]
    assert "base model" in run.err


def test_a_base_model_cannot_carry_a_system_prompt() -> None:
    with pytest.raises(UsageError, match="no chat template"):
        ask(prompt="P", system="S", backend=FakeBackend(info=BASE_INFO))
