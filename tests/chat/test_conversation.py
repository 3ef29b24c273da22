"""What a model is sent of what was said."""

from __future__ import annotations

from mistral_cli.chat.conversation import Conversation
from mistral_cli.contract import Done, Message


def test_the_next_prompt_holds_the_system_prompt_the_turns_and_the_question() -> None:
    talk = Conversation(system="Be brief.").with_answer("Hi", Done(reason="stop", text="Hello", ids=(5, 6)))
    assert talk.prompt("More") == (
        Message(role="system", content="Be brief."),
        Message(role="user", content="Hi"),
        Message(role="assistant", content="Hello", ids=(5, 6)),
        Message(role="user", content="More"),
    )


def test_an_empty_answer_is_no_turn() -> None:
    assert Conversation().with_answer("Hi", Done(reason="stop", text="")) == Conversation()


def test_an_answer_that_was_cut_short_is_kept_and_marked() -> None:
    talk = Conversation().with_answer("Hi", Done(reason="cancelled", text="Hel", ids=(5,)))
    assert [turn.reason for turn in talk.turns] == ["cancelled"]


def test_the_ids_of_a_stop_string_do_not_go_into_the_next_prompt() -> None:
    talk = Conversation().with_answer("Hi", Done(reason="stop", text="Hello", ids=(5, 6, 7), stop="END"))
    assert talk.turns[0].messages()[1] == Message(role="assistant", content="Hello")
