"""What fits into a context, which turns are left out where it does not, and how often tokens are counted for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from mistral_cli.chat.context import Request, left_out, overflowing, refusal, used_tokens
from mistral_cli.chat.conversation import Conversation
from mistral_cli.chat.turn import Turn, TurnRecord
from mistral_cli.contract import Message, ModelInfo, SamplingParams
from mistral_cli.errors import ContextError

INFO = ModelInfo(name="m", path="", parameters=1, dtype="", device="cpu", context=1_000, tokenizer="v3")


@dataclass
class Words:
    """Counts a token a word, and how often it was asked."""

    asked: int = 0
    prompts: list[tuple[Message, ...]] = field(default_factory=list)

    def __call__(self, prompt) -> int:
        self.asked += 1
        self.prompts.append(tuple(prompt))
        return sum(len(message.content.split()) for message in prompt)


def talk(*sizes: int, system: str = "", **record: object) -> Conversation:
    """Return a conversation whose turns take as many words each, half for the question."""
    conversation = Conversation(system=system)
    for number, size in enumerate(sizes):
        question, answer = f"q{number} " * (size // 2), f"a{number} " * (size - size // 2)
        turn = Turn(
            parent=conversation.leaf,
            question=question,
            answer=answer,
            system=system,
            record=TurnRecord(model="m", context=INFO.context, **record),
        )
        conversation = conversation.with_turn(turn)
    return conversation


def request(after: Conversation, words: int = 10, *, max_tokens: int | None = 100, **values: object) -> Request:
    params = SamplingParams(max_tokens=max_tokens)
    return Request(after=after, question="new " * words, params=params, info=INFO, **values)


def test_what_fits_is_left_alone() -> None:
    assert overflowing(request(talk(400, 490)), Words()) is None


def test_what_surely_fits_is_not_even_counted() -> None:
    count = Words()
    assert overflowing(request(talk(40, 40)), count) is None
    assert count.asked == 0


def test_what_the_last_answer_took_spares_counting_the_turns_again() -> None:
    count = Words()
    assert overflowing(request(talk(200, 200, prompt_tokens=300, answer_tokens=100)), count) is None
    assert count.asked == 0


def test_it_spares_nothing_under_another_system_prompt() -> None:
    count = Words()
    overflowing(request(replace(talk(600, 490, prompt_tokens=10, answer_tokens=10), system="Be brief.")), count)
    assert count.asked > 0


def test_the_oldest_turns_go_until_a_quarter_of_the_context_is_free() -> None:
    drop = overflowing(request(talk(*[100] * 9)), Words())
    assert (drop.first, drop.last, drop.freed, drop.needed) == (1, 2, 200, 910)
    assert f"{drop}" == "turns 1 to 2 (200 tokens)"


def test_a_question_that_leaves_no_quarter_free_costs_no_more_turns_than_it_must() -> None:
    drop = overflowing(request(talk(*[100] * 9), words=780), Words())
    assert (drop.last, drop.freed) == (8, 800)


def test_one_turn_is_called_so() -> None:
    assert f"{overflowing(request(talk(600, 400)), Words())}" == "turn 1 (600 tokens)"


def test_the_room_is_what_the_answer_may_take_but_half_of_the_context_at_most() -> None:
    assert request(talk(1), max_tokens=300).room == 300
    assert request(talk(1), max_tokens=5_000).room == 500
    assert request(talk(1), max_tokens=None).room == 125


def test_turns_that_are_left_out_stay_so_and_the_next_go_after_them() -> None:
    after = talk(*[100] * 12, left_out=3)
    assert left_out(after, INFO) == 3
    assert overflowing(request(talk(*[100] * 11, left_out=3)), Words()) is None
    drop = overflowing(request(after), Words())
    assert (drop.first, drop.last) == (4, 5)


@pytest.mark.parametrize("info", [replace(INFO, name="another"), replace(INFO, context=2_000)])
def test_another_model_or_context_is_sent_everything_again(info: ModelInfo) -> None:
    assert left_out(talk(100, 100, left_out=1), info) == 0


def test_an_answer_that_is_made_again_has_the_prompt_it_had() -> None:
    again = Turn(question="q", answer="a", record=TurnRecord(model="m", context=1_000, left_out=2))
    assert request(talk(*[100] * 3), again=again).left_out == 2


def test_the_system_prompt_and_the_question_always_stay() -> None:
    asked, count = request(talk(*[300] * 3, system="Be brief.")), Words()
    drop = overflowing(asked, count)
    sent = asked.prompt(drop.last)
    assert (sent[0].role, sent[0].content, sent[-1].content) == ("system", "Be brief.", asked.question)
    assert all(prompt[0].content == "Be brief." and prompt[-1].content == asked.question for prompt in count.prompts)
    assert [message.role for message in sent[1:-1]] == ["user", "assistant"] * (3 - drop.last)


def test_the_beginning_of_an_answer_always_stays() -> None:
    begun = (Message(role="assistant", content="so " * 200, prefix=True),)
    asked = request(talk(*[200] * 4), begun=begun)
    drop = overflowing(asked, Words())
    assert drop.needed == 800 + 10 + 200
    assert asked.prompt(drop.last)[-1] == begun[0]


def test_a_question_that_is_too_long_by_itself_is_refused_with_both_numbers() -> None:
    with pytest.raises(ContextError, match=r"question alone takes 1,200 tokens.*holds 1,000") as refused:
        overflowing(request(talk(100), words=1_200), Words())
    assert refused.value.exit_code == 6


def test_a_first_question_is_for_the_back_end_to_refuse() -> None:
    count = Words()
    assert overflowing(request(Conversation(), words=1_200), count) is None
    assert count.asked == 0


def test_a_hopeless_question_is_not_counted() -> None:
    count = Words()
    assert overflowing(request(talk(100), words=100_000), count) is None
    assert count.asked == 0


def test_deciding_takes_as_many_counts_as_halving_does() -> None:
    count = Words()
    drop = overflowing(request(talk(*[5] * 400), words=20), count)
    assert drop.last == 400 - (1_000 - 250 - 20) // 5
    assert count.asked <= 2 + 9


def test_the_decision_is_the_same_each_time() -> None:
    asked = request(talk(*[70, 130, 10, 300, 90, 40, 250, 60, 120]))
    assert len({overflowing(asked, Words()) for _ in range(3)}) == 1


def test_a_refusal_holds_the_numbers_and_what_can_be_done() -> None:
    asked = request(talk(*[100] * 9))
    error = refusal(overflowing(asked, Words()), asked)
    assert "takes 910 tokens and 100 are kept for the answer, but the context holds 1,000" in error.message
    assert "--overflow drop-oldest" in error.hint


def test_what_an_answer_took_is_known_where_it_was_counted() -> None:
    known = TurnRecord(prompt_tokens=30, answer_tokens=12)
    assert used_tokens(Turn(question="q", answer="a", record=known)) == 42
    assert used_tokens(Turn(question="q", answer="a", record=TurnRecord(answer_tokens=12))) == 0
