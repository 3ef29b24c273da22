"""The engine on a tiny model: what it draws, when it stops, what it tells and what it keeps."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from lively_engine import ARGS, GREEDY, MODEL, PROMPT, ask, by_hand, engine, ids, lively

from mistral_cli.contract import PrefillProgress, SamplingParams, TokenDrawn, TokensDone
from mistral_cli.errors import ContextError, UsageError


@pytest.mark.parametrize("chunk", [1, 7, 30, 256])
def test_a_greedy_answer_is_that_of_whole_passes_whatever_the_chunk(chunk: int) -> None:
    answer, done = ask(engine(chunk=chunk))
    assert answer == by_hand(PROMPT, 12)
    assert len(set(answer)) > 3
    assert (done.prompt_tokens, done.answer_tokens, done.reason) == (30, 12, "length")


def test_eos_ends_the_answer_is_counted_and_not_yielded() -> None:
    expected = by_hand(PROMPT, 12)
    answer, done = ask(engine(eos=[expected[4]]))
    assert answer == expected[: expected.index(expected[4])]
    assert (done.reason, done.answer_tokens) == ("stop", len(answer) + 1)


def test_any_of_several_eos_ids_ends_the_answer() -> None:
    expected = by_hand(PROMPT, 12)
    answer, done = ask(engine(eos=[96, expected[0]]))
    assert (answer, done.reason, done.answer_tokens) == ([], "stop", 1)


def test_progress_counts_the_prompt_in_chunks() -> None:
    events = list(engine(chunk=8).generate(PROMPT, GREEDY.with_values({"max_tokens": 1})))
    progress = [event for event in events if isinstance(event, PrefillProgress)]
    assert progress == [PrefillProgress(done, 30) for done in (0, 8, 16, 24, 30)]
    assert [type(event) for event in events[5:]] == [TokenDrawn, TokensDone]


def test_the_limit_on_tokens_is_kept() -> None:
    answer, done = ask(engine(), max_tokens=3)
    assert (len(answer), done.reason) == (3, "length")


def test_a_full_context_ends_the_answer() -> None:
    answer, done = ask(engine(context=40), max_tokens=None)
    assert (len(answer), done.answer_tokens, done.reason) == (10, 10, "length")


def test_the_token_that_fills_the_context_is_right() -> None:
    assert ids(list(engine(context=40).generate(PROMPT, GREEDY))) == by_hand(PROMPT, 10)


@pytest.mark.parametrize("window", [None, 1, 8])
def test_a_prompt_that_leaves_room_for_one_token_gets_one(window: int | None) -> None:
    model = lively(replace(ARGS, sliding_window=window))
    chat = engine(model, context=len(PROMPT) + 1, chunk=7)
    for _ in range(2):  # cold, then with all but the prompt's last token kept
        answer, done = ask(chat, max_tokens=None)
        assert (answer, done.answer_tokens, done.reason) == (by_hand(PROMPT, 1, model), 1, "length")


@pytest.mark.parametrize("length", [40, 41, 500])
def test_a_prompt_that_fills_the_context_is_refused_with_both_numbers_at_once(length: int) -> None:
    with pytest.raises(ContextError, match=rf"{length} tokens.*40"):
        engine(context=40).generate([5] * length, GREEDY)


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(UsageError, match="empty"):
        engine().generate([], GREEDY)


def test_a_bias_for_a_token_beyond_the_vocabulary_is_refused() -> None:
    with pytest.raises(UsageError, match="--logit-bias names token 97"):
        engine().generate(PROMPT, GREEDY.with_values({"logit_bias": {97: 1.0}}))


def test_the_same_seed_gives_the_same_answer_and_another_another() -> None:
    answers = [ask(engine(), temperature=1, seed=seed)[0] for seed in (1, 1, 2)]
    assert answers[0] == answers[1] != answers[2]


def test_a_fresh_seed_is_told_and_gives_the_answer_again() -> None:
    answer, done = ask(engine(), temperature=1)
    again, told = ask(engine(), temperature=1, seed=done.seed)
    assert (answer, done.seed) == (again, told.seed)
    assert ask(engine(), temperature=1)[1].seed != done.seed


def test_penalties_see_the_prompt_and_the_answer_but_not_control_ids() -> None:
    loud = {"repetition_penalty": 100.0, "temperature": 0.0}
    answer, _ = ask(engine(), **loud)
    assert not set(answer) & set(PROMPT)
    assert len(set(answer)) == 12
    protected, _ = ask(engine(), logit_bias={2: 1e4}, frequency_penalty=100.0)
    assert protected == [2] * 12


def test_logprobs_are_the_models_own_before_any_filter() -> None:
    params = SamplingParams(temperature=2, top_k=3, logit_bias={50: 3.0}, seed=1, max_tokens=4, logprobs=5)
    tokens = [event for event in engine().generate(PROMPT, params) if isinstance(event, TokenDrawn)]
    sequence = list(PROMPT)
    for token in tokens:
        expected = MODEL(torch.tensor([sequence]))[0][0, -1].detach().log_softmax(-1)
        assert token.logprob == pytest.approx(float(expected[token.id]), abs=1e-10)
        assert [id_ for id_, _ in token.top] == expected.topk(5).indices.tolist()
        assert [value for _, value in token.top] == pytest.approx(expected.topk(5).values.tolist(), abs=1e-10)
        sequence.append(token.id)


def test_no_logprobs_are_reported_unless_asked() -> None:
    drawn = next(event for event in engine().generate(PROMPT, GREEDY) if isinstance(event, TokenDrawn))
    assert drawn == TokenDrawn(id=drawn.id)


def test_zero_logprobs_reports_the_drawn_token_alone() -> None:
    params = GREEDY.with_values({"logprobs": 0, "max_tokens": 1})
    drawn = next(event for event in engine().generate(PROMPT, params) if isinstance(event, TokenDrawn))
    assert drawn.logprob is not None
    assert drawn.top == ()


def test_the_last_event_tells_times_and_memory() -> None:
    _, done = ask(engine())
    assert 0 < done.seconds_to_first_token < 30
    assert done.tokens_per_second > 0
    assert done.peak_memory > 10**6
    assert ask(engine(), max_tokens=1)[1].tokens_per_second == 0


def test_ids_come_one_by_one_before_the_next_is_computed() -> None:
    calls: list[int] = []
    model = lively()
    model.model.norm.register_forward_pre_hook(lambda *_: calls.append(1))
    seen = [len(calls) for event in engine(model).generate(PROMPT, GREEDY) if isinstance(event, TokenDrawn)]
    assert all(later - earlier == 1 for earlier, later in pairwise(seen))
    assert seen[0] == 1
