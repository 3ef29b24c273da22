"""The roof: help, version, wrong flags, and every failure as one line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import importlib
import inspect
import os
import re
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_line import mistral

from fakes import fake_console
from mistral_cli import __version__, errors
from mistral_cli.cli import COMMANDS, build, guarded
from mistral_cli.commands.ending import ENDING
from mistral_cli.commands.start import Invocation
from mistral_cli.limits import LIMITS
from mistral_cli.settings.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _nothing_on_stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield


def _fails_with(error: BaseException):
    def job(_invocation: Invocation) -> int:
        raise error

    return job


def test_the_help_names_every_command_with_its_summary(capfd) -> None:
    code, out, err = mistral(capfd, "--help")
    assert (code, err) == (0, "")
    for row in COMMANDS:
        assert re.search(rf"^  {row.name} +{re.escape(row.summary)}$", out, re.MULTILINE)


@pytest.mark.parametrize("name", [row.name for row in COMMANDS])
def test_every_command_has_help_under_both_flags(name: str, capfd) -> None:
    short, long = mistral(capfd, name, "-h"), mistral(capfd, name, "--help")
    assert short == long
    assert short.code == 0
    assert short.out.startswith(f"Usage: mistral {name} ")
    assert "--debug" in short.out
    assert "<str>" not in short.out
    assert not re.search(r"(?<!\{)\{(?!\{)", short.out)  # {{FIELD}} is what a template has
    assert "--color" in short.out


@pytest.mark.parametrize("line", [line for row in COMMANDS for line in row.examples])
def test_an_example_of_the_help_can_be_typed_as_it_stands(line: str) -> None:
    words = shlex.split(line[line.index("mistral ") :])
    command = build().get_command(None, words[1])
    command.make_context(words[1], words[2:], obj=Invocation())  # typer refuses what it does not know


def test_the_choices_of_a_missing_argument_stand_on_one_line(capfd) -> None:
    said = "error: Missing argument 'SHELL'. Choose from: bash, zsh, fish. See `mistral completions --help`.\n"
    assert mistral(capfd, "completions") == (2, "", said)


def test_bare_mistral_without_a_terminal_is_the_help(capfd) -> None:
    assert mistral(capfd) == mistral(capfd, "--help")


def test_the_version(capfd) -> None:
    assert mistral(capfd, "--version") == (0, f"mistral-cli {__version__}\n", "")


@pytest.mark.parametrize("name", ["gen", "chat"])
def test_every_flag_is_an_option_of_the_settings(name: str) -> None:
    module = importlib.import_module(f"mistral_cli.commands.{name}")
    flags = set(inspect.signature(getattr(module, name)).parameters) - {"ctx", "argument"}
    assert flags <= set(OPTIONS)


def test_gen_has_every_option_but_those_of_a_chat() -> None:
    from mistral_cli.commands.chat import chat
    from mistral_cli.commands.gen import gen

    missing = set(OPTIONS) - set(inspect.signature(gen).parameters)
    of_no_command = {"color", "debug", "cache_limit", "keep_cache_limit", "model_folders"}
    assert missing - of_no_command == {"resume", "store", "keep_cache", "script", "keys"}
    assert missing - set(inspect.signature(chat).parameters) == of_no_command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "There is no command 'nope'. See `mistral --help`."),
        (
            ["what is a token?"],
            "There is no command 'what is a token?'. "
            "To ask a model: mistral gen 'what is a token?'. See `mistral --help`.",
        ),
        (["gne"], "There is no command 'gne'. Did you mean gen? See `mistral --help`."),
        (["--nope"], "There is no option --nope. See `mistral --help`."),
        (
            ["gen", "--temprature", "1", "x"],
            "There is no option --temprature. Did you mean --temperature? See `mistral gen --help`.",
        ),
        (["gen", "what", "is", "it"], "There is more than one prompt: is it. Put quotes around the whole text."),
        (["tokens", "a", "b"], "There is more than one prompt: b. Put quotes around the whole text."),
        (["doctor", "a"], "Nothing is done with a. See `mistral doctor --help`."),
        (["show"], "Missing argument 'MODEL'. See `mistral show --help`."),
        (["gen", "-t"], "Option '-t' requires an argument. See `mistral gen --help`."),
        (["gen", "a", "-p", "b"], "The prompt is given twice"),
        (["gen", "-t", "hot", "x"], "--temperature is 'hot', but must be a number, 0 to 100."),
        (["gen", "-n", "1.5", "x"], "--max-tokens is '1.5', but must be a whole number, 1 or more."),
        (["gen", "--threads", "two", "x"], "--threads is 'two', but must be a whole number, 1 or more."),
        (["gen", "-t", "-1", "x"], "--temperature is -1.0, but must be 0 to 100."),
        (["gen", "-t", "nan", "x"], "--temperature is nan, but must be 0 to 100."),
        (["gen", "--top-p", "2", "x"], "--top-p is 2.0, but must be above 0, up to 1."),
        (["gen", "--top-p", "0", "x"], "--top-p is 0.0, but must be above 0, up to 1."),
        (["gen", "-n", "0", "x"], "--max-tokens is 0, but must be 1 or more."),
        (["gen", "--seed", "-1", "x"], "--seed is -1, but must be 0 to"),
        (["gen", "--logit-bias", "5", "x"], "--logit-bias is '5', but must be ID=BIAS"),
        (["gen", "--stop", "", "x"], "--stop is '', but must be text of one character or more."),
        (["gen", "--order", "up", "x"], "--order: 'up' is not one of 'temperature-first', 'temperature-last'."),
        (["gen", "-f", "/nothing/there", "x"], "/nothing/there cannot be read: No such file or directory."),
        (["gen", "-s", "a", "--system-file", "b", "x"], "--system and --system-file are both given"),
        (
            ["gen", "-o", "/nothing/there", "x"],
            "--output: /nothing/there cannot be written: No such file or directory.",
        ),
        (["gen", "-o", "", "x"], "--output is empty, but must be the name of a file."),
        (["gen", "--logprobs", "2", "x"], "--logprobs needs --json"),
        (["gen", ""], "The prompt is empty."),
        (["chat"], "stdin is not a terminal"),
        (["--color", "pink", "gen"], "'auto', 'always', 'never'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], said: str, capfd) -> None:
    code, out, err = mistral(capfd, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize("name", [name for name in LIMITS if name != "logprobs"])
def test_every_limited_flag_refuses_what_is_out_of_its_range(name: str, capfd) -> None:
    limit = LIMITS[name]
    below = str(int(limit.low) - 1) if not limit.low_is_open else "0"
    code, _, err = mistral(capfd, "gen", f"--{name.replace('_', '-')}", below, "x")
    assert code == 2
    assert f"but must be {limit}." in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.MistralError("m."), 1),
        (errors.UsageError("m."), 2),
        (errors.ModelNotFoundError("m."), 3),
        (errors.CheckpointError("m."), 4),
        (errors.OutOfMemoryError("m."), 5),
        (errors.ContextError("m."), 6),
        (errors.NetworkError("m."), 7),
        (errors.PartialFailureError("m."), 8),
    ],
)
def test_every_error_has_its_exit_code(error: errors.MistralError, code: int, capfd) -> None:
    assert guarded(_fails_with(error)) == code
    assert capfd.readouterr() == ("", "error: m.\n")


def test_a_full_disk_is_told_with_the_file(capfd) -> None:
    assert guarded(_fails_with(OSError(errno.ENOSPC, "No space left on device", "/a/file"))) == 1
    assert capfd.readouterr().err == "error: No space left on device: /a/file.\n"


def test_a_library_that_ctrl_c_broke_is_ctrl_c_and_no_defect(capfd) -> None:
    def job(_invocation: Invocation) -> int:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("half imported") from None
        return 0

    assert guarded(job) == 130
    assert capfd.readouterr() == ("", "")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    "broken", [OSError(errno.EIO, "Input/output error"), errors.MistralError("It broke."), MemoryError()]
)
def test_what_breaks_as_the_terminal_hangs_up_is_the_hang_up(
    broken: Exception, capfd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what broke all the same: stderr may be a file."""

    def job(_invocation: Invocation) -> int:
        monkeypatch.setattr(ENDING, "number", signal.SIGHUP)
        raise broken

    assert guarded(job) == 129
    assert capfd.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("end", [KeyboardInterrupt(), errors.MistralError("It broke."), SystemExit(143)])
def test_no_line_of_progress_stays_behind(end: BaseException) -> None:
    screen = fake_console(terminal=True)

    def job(invocation: Invocation) -> int:
        invocation.console = screen
        screen.status("Loading ...")
        raise end

    with contextlib.suppress(SystemExit):
        guarded(job)
    assert screen.err.file.text.startswith("\r\x1b[KLoading ...\r\x1b[K")


def test_no_memory_left_is_exit_code_5(capfd) -> None:
    assert guarded(_fails_with(MemoryError())) == 5
    assert "memory" in capfd.readouterr().err


def test_a_defect_of_ours_is_one_line_too_and_asks_for_a_report(capfd) -> None:
    assert guarded(_fails_with(ZeroDivisionError("by zero"))) == 1
    said = capfd.readouterr().err
    assert said.startswith("error: Unexpected ZeroDivisionError: by zero.")
    assert "--debug" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--debug", "gen", "-t", "-1", "x"], ["gen", "-t", "-1", "x", "--debug"]])
def test_debug_shows_the_traceback_before_or_after_the_command(arguments: list[str], capfd) -> None:
    code, _, err = mistral(capfd, *arguments)
    assert code == 2
    assert err.startswith("Traceback (most recent call last)")
    assert err.endswith("error: --temperature is -1.0, but must be 0 to 100.\n")


def test_debug_can_be_set_in_the_environment(capfd, monkeypatch) -> None:
    monkeypatch.setenv("MISTRAL_CLI_DEBUG", "1")
    assert "Traceback" in mistral(capfd, "gen", "-f", "/nothing/there", "x").err


@pytest.mark.parametrize(
    "arguments", [["--color", "always", "gen", "-n", "0", "x"], ["gen", "--color", "always", "-n", "0", "x"]]
)
def test_colour_can_be_asked_for_before_or_after_the_command(arguments: list[str], capfd) -> None:
    assert mistral(capfd, *arguments).err.startswith("\x1b[1;31merror:\x1b[0m ")


def test_a_bad_config_file_is_refused_with_its_line_by_every_command_that_reads_it(capfd) -> None:
    folder = Path(os.environ["MISTRAL_CLI_HOME"])
    folder.mkdir()
    (folder / "config.toml").write_text("\ntemperature = 'hot'\n")
    code, out, err = mistral(capfd, "gen", "x")
    assert (code, out) == (2, "")
    assert err == f"error: {folder}/config.toml:2: temperature is 'hot', but must be a number, 0 to 100.\n"


def test_an_unknown_key_is_warned_of_and_the_command_goes_on(capfd) -> None:
    folder = Path(os.environ["MISTRAL_CLI_HOME"])
    folder.mkdir()
    (folder / "config.toml").write_text("colour = 'never'\n")
    code, _, err = mistral(capfd, "gen", "-m", "./nothing", "x")
    assert code == 3
    assert "config.toml:1: colour is not an option and is ignored. Did you mean color?\n" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_of_each_shell_is_printed(shell: str, capfd) -> None:
    code, out, err = mistral(capfd, "completions", shell)
    assert (code, err) == (0, "")
    assert "_MISTRAL_COMPLETE" in out
