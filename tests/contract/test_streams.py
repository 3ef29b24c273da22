"""The contract's streams, from outside: what each file descriptor gets, and what happens when one is gone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from processes import MISTRAL, environment, fake, read_until, run


def test_stdout_is_the_answer_and_stderr_the_rest() -> None:
    done = run(fake(flags={"prompt": "P", "stats": True}))
    assert done.returncode == 0
    assert done.stdout == b"Hello there, friend.\n"
    assert b"tokens/s" in done.stderr
    assert b"\x1b" not in done.stdout + done.stderr


def test_an_answer_goes_into_a_pipe_byte_for_byte() -> None:
    evil = "a\x1b[31m\u202e\0\r\n\x9b [/INST] [bold]é😀"
    assert run(fake(answers=[[evil]])).stdout == evil.encode() + b"\n"


def test_the_first_words_are_there_while_the_rest_is_computed(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with subprocess.Popen(fake(gate=str(gate)), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert read_until(process.stdout.fileno(), b"Hello ") == b"Hello "
        gate.touch()
        assert process.stdout.read() == b"there, friend.\n"
    assert process.returncode == 0


def test_a_pipe_closed_by_its_reader_ends_it_within_one_token(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    command = fake(gate=str(gate), answers=["word " * 1000], context=2000)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        read_until(process.stdout.fileno(), b"word ")
        process.stdout.close()
        gate.touch()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_reader_that_never_reads_ends_it_too() -> None:
    shell = run(
        ["bash", "-c", '"$@" | true; exit ${PIPESTATUS[0]}', "bash", *fake(answers=["word " * 1000], context=2000)]
    )
    assert (shell.returncode, shell.stderr) == (141, b"")


@pytest.mark.parametrize("arguments", [["--help"], ["gen", "--help"], ["--version"]])
def test_help_into_a_closed_pipe_says_nothing_either(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run([*MISTRAL, *arguments], stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("flags", [{"prompt": "P"}, {"prompt": "P", "json": True}, {"prompt": "P", "extract": True}])
def test_a_full_disk_is_exit_code_1_and_said(flags: dict) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(fake(flags=flags, answers=["```\nx\n```"]), stdout=full)
    assert (done.returncode, done.stderr) == (1, b"error: No space left on device.\n")


def test_help_onto_a_full_disk_is_exit_code_1_and_said() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run([*MISTRAL, "--help"], stdout=full)
    assert (done.returncode, done.stderr) == (1, b"error: No space left on device.\n")


def test_stdout_closed_from_the_start_is_exit_code_1_and_said() -> None:
    shell = run(["bash", "-c", '"$@" >&-', "bash", *fake()])
    assert (shell.returncode, shell.stderr) == (1, b"error: the standard output is closed.\n")


def test_stderr_closed_or_full_does_not_disturb_the_answer() -> None:
    for redirection in ("2>&-", "2>/dev/full"):
        shell = run(["bash", "-c", f'"$@" {redirection}', "bash", *fake(flags={"prompt": "P", "stats": True})])
        assert (shell.returncode, shell.stdout) == (0, b"Hello there, friend.\n")


@pytest.mark.parametrize("redirection", ["<&-", "</dev/null"])
def test_stdin_closed_or_empty_is_no_prompt_and_no_error(redirection: str) -> None:
    shell = run(["bash", "-c", f'"$@" {redirection}', "bash", *fake()])
    assert (shell.returncode, shell.stdout, shell.stderr) == (0, b"Hello there, friend.\n", b"")
    shell = run(["bash", "-c", f'"$@" {redirection}', "bash", *fake(flags={"quiet": True})])
    assert shell.returncode == 2
    assert shell.stderr.startswith(b"error: The prompt is empty.")


def test_waiting_for_stdin_is_said() -> None:
    command = fake(flags={})
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert b"--no-stdin" in read_until(process.stderr.fileno(), b"\n")
        out, _ = process.communicate(b"late")
    assert (process.returncode, out) == (0, b"Hello there, friend.\n")


def test_an_inherited_pipe_that_nobody_closes_is_left_alone_when_asked() -> None:
    reading, writing = os.pipe()
    try:
        done = run(fake(flags={"prompt": "P", "stdin": False}), stdin=reading)
    finally:
        os.close(reading)
        os.close(writing)
    assert done.stdout == b"Hello there, friend.\n"


def test_a_hundred_megabytes_on_stdin_are_refused_in_bounded_memory() -> None:
    source = 'head -c 100000000 /dev/zero | (ulimit -v 600000; "$@")'
    shell = run(["bash", "-c", source, "bash", *fake(flags={})])
    assert (shell.returncode, shell.stdout) == (6, b"")
    assert b"33,554,432 bytes" in shell.stderr
    assert shell.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONOPTIMIZE": "1"},
        {"TERM": None},
        {"TERM": "dumb", "COLUMNS": "20", "LINES": "1"},
    ],
)
def test_locale_encoding_optimisation_and_terminal_type_do_not_change_an_answer(changes: dict) -> None:
    done = run(fake(flags={"prompt": "é"}, answers=["é😀"]), env=environment(**changes))
    assert (done.returncode, done.stdout, done.stderr) == (0, "é😀\n".encode(), b"")


def test_help_survives_an_ascii_locale() -> None:
    done = run([*MISTRAL, "gen", "--help"], env=environment(PYTHONIOENCODING="ascii"))
    assert done.returncode == 0
    assert "v1 … v13" in done.stdout.decode()


def test_arguments_that_are_not_utf8_are_warned_of() -> None:
    done = run([*MISTRAL, "gen", "-m", "./nothing", b"a\xff"])
    assert done.returncode == 3
    assert done.stderr.startswith(b"warning: --prompt is not valid UTF-8; what is not is read as U+FFFD.\n")


def test_colour_can_be_forced_into_a_pipe_and_forbidden() -> None:
    wrong = [*MISTRAL, "gen", "-n", "0", "x"]
    assert b"\x1b[1;31m" in run(wrong, env=environment(CLICOLOR_FORCE="1")).stderr
    assert b"\x1b" not in run(wrong, env=environment(CLICOLOR_FORCE="1", NO_COLOR="1")).stderr
    assert b"\x1b" not in run([*wrong, "--color", "never"], env=environment(CLICOLOR_FORCE="1")).stderr


def test_json_is_one_object_and_nothing_else() -> None:
    done = run(fake(flags={"prompt": "P", "json": True}))
    assert json.loads(done.stdout)["text"] == "Hello there, friend."
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")


def test_chat_in_a_pipe_refuses_and_names_gen() -> None:
    done = run([*MISTRAL, "chat"], input=b"hello\n")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"mistral gen" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_bare_mistral_in_a_pipe_is_the_help() -> None:
    assert run(MISTRAL).stdout == run([*MISTRAL, "--help"]).stdout
