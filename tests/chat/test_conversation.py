"""What a model is sent of what was said, and what becomes of a line that is left for another."""

from __future__ import annotations

import pytest

from fakes import FAKE_INFO
from mistral_cli.chat.conversation import Conversation
from mistral_cli.chat.turn import Turn, TurnRecord
from mistral_cli.contract import Done, Message, SamplingParams


def _said(*questions: str, talk: Conversation | None = None) -> Conversation:
    talk = talk or Conversation(system="Be brief.")
    for question in questions:
        turn = talk.answered(question, Done(reason="stop", text=f"To {question}", ids=(5, 6)))
        assert turn is not None
        talk = talk.with_turn(turn)
    return talk


def _questions(talk: Conversation) -> list[str]:
    return [turn.question for turn in talk.path()]


def test_the_next_prompt_holds_the_system_prompt_the_turns_and_the_question() -> None:
    assert _said("Hi").prompt("More") == (
        Message(role="system", content="Be brief."),
        Message(role="user", content="Hi"),
        Message(role="assistant", content="To Hi", ids=(5, 6)),
        Message(role="user", content="More"),
    )


def test_an_empty_answer_is_no_turn() -> None:
    assert Conversation().answered("Hi", Done(reason="stop", text="")) is None


def test_an_answer_that_was_cut_short_is_kept_and_marked() -> None:
    turn = Conversation().answered("Hi", Done(reason="cancelled", text="Hel", ids=(5,)))
    assert turn is not None
    assert turn.reason == "cancelled"


def test_the_ids_of_a_stop_string_do_not_go_into_the_next_prompt() -> None:
    turn = Conversation().answered("Hi", Done(reason="stop", text="Hello", ids=(5, 6, 7), stop="END"))
    assert turn is not None
    assert turn.messages()[1] == Message(role="assistant", content="Hello")


def test_what_was_undone_stays_in_the_tree_beside_what_is_said_instead() -> None:
    first = _said("one", "two")
    second = _said("three", talk=first.undone())
    assert _questions(second) == ["one", "three"]
    assert [turn.question for turn in second.leaves()] == ["two", "three"]
    assert _questions(second.at(first.leaf)) == ["one", "two"]
    assert _questions(first) == ["one", "two"]


def test_all_can_be_undone_and_more_changes_nothing() -> None:
    talk = _said("one").undone()
    assert talk.path() == ()
    assert talk.undone() == talk
    assert len(talk.turns) == 1


def test_each_branch_has_the_system_prompt_that_was_in_force_there() -> None:
    first = _said("one")
    other = _said("two", talk=Conversation(system="Be loud.", turns=first.turns, leaf=first.leaf))
    assert other.system == "Be loud."
    assert other.at(first.leaf).system == "Be brief."
    assert other.undone().system == "Be loud."


def test_turns_that_no_store_numbered_have_different_negative_ids() -> None:
    talk = _said("one", "two", talk=_said("zero").with_turn(Turn(id=7, question="q", answer="a")))
    assert sorted(talk.turns) == [-3, -2, -1, 7]
    assert talk.with_turn(Turn(question="q", answer="a")).leaf == -4


def test_a_turn_after_one_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError):
        Conversation().with_turn(Turn(id=2, parent=1, question="q", answer="a"))


def test_a_record_tells_with_what_and_how_fast_an_answer_was_made() -> None:
    done = Done(reason="stop", text="x", prompt_tokens=9, answer_tokens=4, tokens_per_second=7.5, seed=3)
    record = TurnRecord.of(done, SamplingParams(temperature=0.5, stop=("END",)), FAKE_INFO)
    assert (record.model, record.identity, record.quantization) == ("fake", "/nowhere", "none")
    assert (record.prompt_tokens, record.answer_tokens, record.tokens_per_second, record.seed) == (9, 4, 7.5, 3)
    assert record.params["temperature"] == 0.5
    assert record.when.endswith("Z")
