"""The flags that decide when an answer ends and what is done when a context is full, from where they are set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from gen_runs import ask

from fakes import FakeBackend, fake_console, fake_stdin
from mistral_cli.commands.chat import run_chat
from mistral_cli.errors import ContextError, UsageError
from mistral_cli.settings.load import load_settings

if TYPE_CHECKING:
    from pathlib import Path

LONG = "word " * 30


@pytest.fixture
def chat(tmp_path: Path):
    """Return what holds a chat of ``lines`` and returns the back end that answered."""

    def run(*lines: str, **flags: object) -> FakeBackend:
        backend, script = FakeBackend(answers=[LONG]), tmp_path / "script"
        script.write_text("\n".join(lines))
        settings = load_settings({"script": str(script), "store": False, **flags})
        run_chat(settings, fake_console(), stdin=fake_stdin(), load=lambda *_: backend)
        return backend

    return run


def test_the_watchdog_is_on_in_a_chat_and_off_in_gen(chat) -> None:
    assert [params.watchdog for params in chat("one").params] == [True]
    assert ask(prompt="P").backend.params[0].watchdog is False


@pytest.mark.parametrize("said", [True, False])
def test_the_flag_the_environment_and_the_config_decide_on_the_watchdog(
    chat, said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chat("one", watchdog=said).params[0].watchdog is said
    assert ask(prompt="P", watchdog=said).backend.params[0].watchdog is said
    monkeypatch.setenv("MISTRAL_CLI_WATCHDOG", str(said).lower())
    assert chat("one").params[0].watchdog is said
    assert ask(prompt="P").backend.params[0].watchdog is said


def test_json_tells_of_a_loop_and_the_exit_code_is_0() -> None:
    run = ask(prompt="P", json=True, watchdog=True, backend=FakeBackend(ends="loop"))
    told = json.loads(run.out)
    assert (run.code, told["reason"], told["text"]) == (0, "loop", "Hello there, friend.")
    assert told["parameters"]["watchdog"] is True
    assert run.err == (
        "(stopped: it repeated itself; --repetition-penalty 1.3 may help, --no-watchdog lets it go on)\n"
    )


def test_a_script_has_nobody_to_ask_so_that_a_full_context_is_an_error(chat) -> None:
    with pytest.raises(ContextError):
        chat("one", "two " * 30)
    assert len(chat("one", "two " * 30, overflow="drop-oldest").prompts) == 2


def test_the_environment_decides_on_a_full_context_too(chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_CLI_OVERFLOW", "drop-oldest")
    assert len(chat("one", "two " * 30).prompts) == 2
    assert ask(prompt="P").code == 0  # a setting for chats is no mistake in gen
    monkeypatch.setenv("MISTRAL_CLI_OVERFLOW", "cut")
    with pytest.raises(UsageError, match="MISTRAL_CLI_OVERFLOW is 'cut', but must be error or drop-oldest"):
        load_settings()


@pytest.mark.parametrize(
    ("typed", "count"),
    [(["--logprobs"], 5), (["--logprobs", "--json"], 5), (["--logprobs", "3"], 3), (["--logprobs=0"], 0), ([], None)],
)
def test_logprobs_without_a_number_are_five(typed: list[str], count: int | None) -> None:
    from mistral_cli.cli import build

    gen = build().get_command(None, "gen")
    read = gen.make_context("gen", list(typed), resilient_parsing=True).params["logprobs"]
    assert load_settings({"logprobs": read}).logprobs == count
