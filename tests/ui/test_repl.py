"""The chat without its keyboard: what is answered, remembered, refused."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from fakes import FakeBackend, fake_console
from mistral_cli.contract import Message, SamplingParams
from mistral_cli.errors import MistralError
from mistral_cli.ui.repl import LEAVES_WITHIN, Repl

if TYPE_CHECKING:
    from collections.abc import Iterator


def _chat(*typed: str | type[BaseException], backend: FakeBackend, **options) -> Repl:
    lines: Iterator[str | type[BaseException]] = iter((*typed, EOFError))

    def read() -> str:
        line = next(lines)
        if not isinstance(line, str):
            raise line
        return line

    console = fake_console(terminal=True)
    repl = Repl(backend=backend, params=SamplingParams(), console=console, read=read, **options)
    repl.run()
    return repl


def test_every_turn_is_sent_with_those_before_it_and_the_ids_the_model_wrote() -> None:
    backend = FakeBackend(answers=["First answer.", "Second."])
    repl = _chat("one", "two", backend=backend)
    assert backend.prompts[1] == (
        Message(role="user", content="one"),
        Message(role="assistant", content="First answer.", ids=(0, 1)),
        Message(role="user", content="two"),
    )
    assert repl.console.out.file.text == "First answer.\n\nSecond.\n\n"


def test_an_empty_line_is_ignored() -> None:
    backend = FakeBackend()
    _chat("", "   ", "\t", backend=backend)
    assert backend.prompts == []


def test_an_empty_answer_is_said_and_not_remembered() -> None:
    backend = FakeBackend(answers=[[], "Now."])
    repl = _chat("one", "two", backend=backend)
    assert "(empty answer)" in repl.console.err.file.text
    assert backend.prompts[1] == (Message(role="user", content="two"),)
    assert repl.console.out.file.text == "\nNow.\n\n"


def test_ctrl_c_in_an_answer_keeps_the_chat_and_the_partial_answer_marked() -> None:
    backend = FakeBackend(answers=["One two three four.", "Again."])
    backend.before_piece = lambda number, _cancel: (
        os.kill(os.getpid(), signal.SIGINT) if number == 2 and len(backend.prompts) == 1 else None
    )
    repl = _chat("one", "two", backend=backend)
    first, second = repl.conversation.path()
    assert (first.answer, first.ids, first.reason) == ("One two ", (0, 1), "cancelled")
    assert second.reason == "stop"
    assert "(stopped)" in repl.console.err.file.text
    assert repl.console.out.file.text == "One two \n\nAgain.\n\n"


def test_ctrl_c_twice_within_a_second_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LEAVES_WITHIN == 1
    monkeypatch.setattr("mistral_cli.ui.repl.LEAVES_WITHIN", 60.0)  # a busy machine may pause between them
    backend = FakeBackend(answers=["One two three four."])
    backend.before_piece = lambda number, _cancel: os.kill(os.getpid(), signal.SIGINT) if number == 1 else None
    with pytest.raises(KeyboardInterrupt):
        _chat("one", KeyboardInterrupt, backend=backend)


def test_ctrl_c_at_the_prompt_once_does_not_leave() -> None:
    backend = FakeBackend()
    repl = _chat(KeyboardInterrupt, "one", backend=backend)
    assert len(repl.conversation.path()) == 1
    assert "Ctrl-C again leaves" in repl.console.err.file.text


def test_ctrl_c_before_the_first_word_remembers_nothing() -> None:
    backend = FakeBackend(answers=["One two."])
    backend.before_piece = lambda number, _cancel: (
        os.kill(os.getpid(), signal.SIGINT) if len(backend.prompts) == 1 else None
    )
    repl = _chat("one", backend=backend)
    assert repl.conversation.path() == ()


def test_a_prompt_longer_than_the_context_is_said_with_both_numbers_and_the_chat_goes_on() -> None:
    backend = FakeBackend()
    repl = _chat("word " * 100, "short", backend=backend)
    assert "error: The prompt has 100 tokens, but the context holds 64." in repl.console.err.file.text
    assert [turn.question for turn in repl.conversation.path()] == ["short"]


def test_an_error_in_an_answer_ends_the_line_and_leaves_the_conversation_as_it_was() -> None:
    backend = FakeBackend(error=MistralError("The logits are NaN."), fails_after=1)
    repl = _chat("one", backend=backend)
    assert repl.console.out.file.text == "Hello \n"
    assert "error: The logits are NaN." in repl.console.err.file.text
    assert repl.conversation.path() == ()


def test_an_unknown_command_is_an_error_with_the_nearest_name_and_never_sent() -> None:
    backend = FakeBackend()
    repl = _chat("/hepl me", "/zzz", backend=backend)
    assert backend.prompts == []
    assert "There is no command /hepl. Did you mean /help?" in repl.console.err.file.text
    assert "There is no command /zzz. /help lists the commands" in repl.console.err.file.text


def test_two_slashes_send_one() -> None:
    backend = FakeBackend()
    _chat("//etc is a folder", backend=backend)
    assert backend.prompts == [(Message(role="user", content="/etc is a folder"),)]


def test_exit_leaves_and_help_lists_every_command() -> None:
    from mistral_cli.ui.slash.table import COMMANDS

    backend = FakeBackend()
    repl = _chat("/help", "/exit", "not read", backend=backend)
    assert backend.prompts == []
    shown = repl.console.out.file.text
    assert all(command.name in shown and command.summary.split()[0] in shown for command in COMMANDS)


def test_lone_surrogates_that_were_typed_become_replacement_characters() -> None:
    backend = FakeBackend()
    _chat("a\udcffb", backend=backend)
    assert backend.prompts == [(Message(role="user", content="a\ufffdb"),)]


def test_statistics_and_a_full_context_are_said() -> None:
    backend = FakeBackend(answers=["one two three"])
    repl = _chat("hi", backend=backend, shows_stats=True)
    assert "prompt 1 tokens · answer 3 tokens" in repl.console.err.file.text


def test_a_turn_holds_its_tokens_and_how_it_was_made() -> None:
    repl = _chat("hi", backend=FakeBackend(answers=["One two."]))
    turn = repl.conversation.path()[0]
    assert [token.text for token in turn.tokens] == ["One ", "two."]
    assert (turn.record.model, turn.record.answer_tokens) == ("fake", 2)
