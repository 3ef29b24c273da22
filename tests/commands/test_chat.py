"""Who may chat, and with what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes import BASE_INFO, FAKE_INFO, FakeBackend, fake_console, fake_stdin
from mistral_cli.commands.chat import banner, run_chat
from mistral_cli.errors import UsageError
from mistral_cli.settings.load import load_settings
from mistral_cli.ui.stdin import Stdin


@pytest.mark.parametrize(
    ("stdin", "is_terminal", "named"),
    [(fake_stdin(b"x"), True, "stdin"), (Stdin(file=None), True, "stdin"), (fake_stdin(), False, "stdout")],
)
def test_without_a_terminal_it_refuses_and_names_gen(stdin: Stdin, is_terminal: bool, named: str) -> None:
    loads = []
    with pytest.raises(UsageError, match=f"{named} is not a terminal.*mistral gen") as caught:
        run_chat(load_settings(), fake_console(terminal=is_terminal), stdin=stdin, load=lambda *_: loads.append(1))
    assert caught.value.exit_code == 2
    assert loads == []


def test_a_base_model_is_refused() -> None:
    with pytest.raises(UsageError, match=r"base model.*mistral gen.*--chat-template"):
        run_chat(
            load_settings(),
            fake_console(terminal=True),
            stdin=fake_stdin(),
            load=lambda *_: FakeBackend(info=BASE_INFO),
        )


def test_the_system_prompt_cannot_come_from_where_one_types() -> None:
    with pytest.raises(UsageError, match="stdin is where you type"):
        run_chat(
            load_settings({"system_file": "-"}),
            fake_console(terminal=True),
            stdin=fake_stdin(),
            load=lambda *_: FakeBackend(),
        )


def test_the_banner_says_what_the_weights_are_held_in() -> None:
    assert banner(FAKE_INFO) == "fake · float32 on cpu · context 64 tokens · /help, Ctrl-D leaves"
    assert banner(replace(FAKE_INFO, quantization="nf4")).startswith("fake · nf4 and float32 on cpu · ")


@pytest.mark.parametrize(
    ("typed", "resumed"),
    [
        (["--resume"], "last"),
        (["--resume", "-q"], "last"),
        (["--resume", "one"], "one"),
        (["--resume=one"], "one"),
        ([], None),
    ],
)
def test_resume_without_a_name_is_the_last_chat(typed: list[str], resumed: str | None) -> None:
    from mistral_cli.cli import build

    program = build()
    chat = program.get_command(None, "chat")
    assert chat.make_context("chat", list(typed), resilient_parsing=True).params["resume"] == resumed
