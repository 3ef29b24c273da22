"""A chat whose context fills up: warned of once, asked about, refused or made to fit; what is said and what is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from chats import answers, err, out, typed

from fakes import FAKE_INFO, FakeBackend, fake_console
from mistral_cli.chat.conversation import Conversation
from mistral_cli.contract import SamplingParams
from mistral_cli.errors import ContextError
from mistral_cli.ui.overflow import Overflow
from mistral_cli.ui.repl import Repl

ANSWER = "one two three four five six seven eight nine ten"
"""Ten tokens; with a question of ten a turn takes twenty of the context of 64."""


def question(number: int, words: int = 10) -> str:
    return f"q{number} " + "w " * (words - 1)


def chat(*lines: str, policy: str | None = None, ask=None, backend: FakeBackend | None = None, **options):
    backend = backend or FakeBackend(answers=[ANSWER])
    return typed(*lines, backend=backend, overflow=Overflow(policy=policy, ask=ask), **options)


def sent(repl) -> list[str]:
    """Return the questions that the last prompt held, by their first words."""
    return [message.content.split()[0] for message in repl.backend.prompts[-1] if message.role == "user"]


def test_nothing_is_said_of_a_context_that_is_not_full() -> None:
    repl = chat(*map(question, range(2)), ask=lambda _question: pytest.fail("asked"))
    assert err(repl) == ""


def test_drop_oldest_leaves_out_whole_turns_and_says_which_and_what_that_frees() -> None:
    repl = chat(*map(question, range(4)), policy="drop-oldest")
    assert sent(repl) == ["q2", "q3"]
    assert "The context is full: the prompt goes without turns 1 to 2 (40 tokens). The chat keeps" in err(repl)
    assert len(answers(repl)) == 4


def test_it_is_said_to_the_quiet_too() -> None:
    backend = FakeBackend(answers=[ANSWER])
    left = iter(map(question, range(4)))

    def read() -> str:
        line = next(left, None)
        if line is None:
            raise EOFError
        return line

    console, overflow = fake_console(quiet=True), Overflow(policy="drop-oldest")
    Repl(backend=backend, params=SamplingParams(), console=console, read=read, overflow=overflow).run()
    assert console.err.file.text == (
        "The context is full: the prompt goes without turns 1 to 2 (40 tokens). The chat keeps what was said.\n"
    )


def test_what_was_left_out_stays_so_without_another_word() -> None:
    repl = chat(*map(question, range(4)), "short", policy="drop-oldest")
    assert sent(repl) == ["q2", "q3", "short"]
    assert err(repl).count("is full:") == 1
    assert [turn.record.left_out for turn in repl.conversation.path()] == [0, 0, 0, 2, 2]


def test_the_system_prompt_is_never_left_out() -> None:
    repl = chat(*map(question, range(6)), policy="drop-oldest", conversation=Conversation(system="Be brief."))
    assert [prompt[0].content for prompt in repl.backend.prompts] == ["Be brief."] * 6


def test_going_back_to_before_the_drop_sends_all_of_it_again() -> None:
    repl = chat(*map(question, range(4)), "/undo 2", "again", policy="drop-oldest")
    assert sent(repl) == ["q0", "q1", "again"]


def test_another_try_at_an_answer_has_the_prompt_of_the_first() -> None:
    repl = chat(*map(question, range(4)), "/retry", policy="drop-oldest")
    assert repl.backend.prompts[-1] == repl.backend.prompts[-2]
    assert err(repl).count("is full:") == 1


def test_going_on_with_an_answer_has_the_prompt_it_began_with() -> None:
    backend = FakeBackend(answers=[ANSWER, ANSWER, ANSWER, ANSWER, "more"])
    repl = chat(*map(question, range(4)), "/continue", backend=backend, policy="drop-oldest")
    assert repl.backend.prompts[-1][:-1] == repl.backend.prompts[-2]
    assert answers(repl)[-1] == ANSWER + "more"


def test_somebody_is_asked_with_the_numbers_and_one_yes_sends_it() -> None:
    asked: list[str] = []
    repl = chat(*map(question, range(4)), ask=lambda text: not asked.append(text))
    assert asked == [
        "The context is full: this prompt takes 70 tokens, 8 are kept for the answer, and 64 fit. "
        "Press d to leave out turns 1 to 2 (40 tokens) and send it, any other key not to send it."
    ]
    assert sent(repl) == ["q2", "q3"]
    assert "the prompt goes without turns 1 to 2 (40 tokens)" in err(repl)


def test_a_no_sends_nothing_and_keeps_what_was_typed_for_the_next_line() -> None:
    repl = chat(*map(question, range(4)), ask=lambda _text: False)
    assert len(repl.backend.prompts) == 3
    assert repl.draft == question(3)
    assert "(not sent)" in err(repl)
    assert len(answers(repl)) == 3


def test_a_command_that_is_not_sent_stands_in_the_next_line_too() -> None:
    backend = FakeBackend(answers=[ANSWER])
    repl = chat(*map(question, range(3)), "/set max_tokens 32", "/retry", backend=backend, ask=lambda _text: False)
    assert (repl.draft, len(backend.prompts)) == ("/retry", 3)


@pytest.mark.parametrize("policy", ["error", None])
def test_where_nothing_may_be_left_out_or_nobody_sits_there_it_is_an_error(policy: str | None) -> None:
    repl = chat(*map(question, range(4)), policy=policy)
    said = "error: The prompt takes 70 tokens and 8 are kept for the answer, but the context holds 64."
    assert said in err(repl)
    assert "--overflow drop-oldest" in err(repl)
    assert len(repl.backend.prompts) == 3
    assert repl.draft == question(3)


def test_a_script_ends_with_that_error() -> None:
    with pytest.raises(ContextError) as refused:
        chat(*map(question, range(4)), is_strict=True)
    assert refused.value.exit_code == 6


def test_a_question_that_is_too_long_by_itself_is_an_error_whatever_is_allowed() -> None:
    repl = chat(question(0), question(1, words=80), policy="drop-oldest")
    assert "error: The question alone takes 80 tokens, but the context holds 64, answer included." in err(repl)
    assert [turn.record.left_out for turn in repl.conversation.path()] == [0]


def test_the_limit_on_the_answer_counts() -> None:
    lines = ("/set max_tokens 30", question(0), question(1, words=15))
    assert "the prompt goes without turn 1 (20 tokens)" in err(chat(*lines, policy="drop-oldest"))


# -- what is told of it ------------------------------------------------------------------------------------------------


def test_show_and_stats_and_tokens_tell_what_is_out() -> None:
    repl = chat(
        *map(question, range(4)), "/show", "/show 1", "/show 2", "/show 3", "/stats", "/tokens", policy="drop-oldest"
    )
    shown = " ".join(out(repl).split())
    assert "4 of 4 turns on this branch, the first 2 left out of the prompt" in shown
    assert err(repl).count("(left out of the prompt: the context was full)") == 2
    assert "prompt 30 tokens without the first 2 turns · answer 10 tokens" in shown
    assert "40 of 64 tokens" in shown


def test_a_context_that_is_four_fifths_full_is_warned_of_once_with_what_can_be_done() -> None:
    backend = FakeBackend(answers=[ANSWER])
    repl = chat(question(0), question(1), question(2, 4), "/undo", question(3, 4), backend=backend)
    said = "The context is 84% full (54 of 64 tokens). When it is full, you are asked whether to leave out"
    assert err(repl).count("% full") == 1
    assert said in err(repl)
    assert "/new begins a new chat" in err(repl)


@pytest.mark.parametrize(
    ("policy", "words"),
    [("drop-oldest", "the oldest turns are left out of the prompt"), ("error", "questions are refused")],
)
def test_the_warning_says_what_will_happen(policy: str, words: str) -> None:
    assert f"When it is full, {words} (--overflow)" in err(chat(*map(question, range(3)), policy=policy))


def test_a_new_chat_is_warned_of_anew() -> None:
    lines = list(map(question, range(3)))
    assert err(chat(*lines, "/new", *lines)).count("% full") == 2


def test_a_context_that_is_full_in_the_middle_of_an_answer_is_said_and_gone_on_from() -> None:
    small = replace(FAKE_INFO, context=30)
    backend = FakeBackend(info=small, answers=["a b c d e", ["x "] * 99, "and on."])
    repl = chat("q0 q", "q1 " + "w " * 5, "/continue", backend=backend, policy="drop-oldest")
    assert "(the answer ends here: the context of 30 tokens is full; /continue goes on without the oldest turns)" in (
        err(repl)
    )
    assert answers(repl)[-1] == "x " * 17 + "and on."
    assert "the prompt goes without turn 1 (7 tokens)" in err(repl)
