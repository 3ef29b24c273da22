"""Many prompts side by side: each gets what it gets alone, however it is mixed with the others."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest
from batches import alone, drawn, ids, requests, side_by_side
from lively_engine import ARGS, engine, lively

from mistral_cli.contract import PrefillProgress, SamplingParams, TokenDrawn, TokensDone
from mistral_cli.engine.batch import TokenRequest
from mistral_cli.engine.generate import NativeEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mistral_cli.contract import EngineEvent
    from mistral_cli.errors import MistralError


@cache
def forty_alone(chunk: int) -> list[list[EngineEvent]]:
    which = engine(chunk=chunk)
    return [alone(which, request) for request in requests(40)]


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
@pytest.mark.parametrize("chunk", [9, 256])
def test_prompts_of_unequal_length_get_what_each_gets_alone(rows: int, chunk: int) -> None:
    asked = requests(40)
    together = side_by_side(engine(chunk=chunk), asked, rows)
    for number, expected in enumerate(forty_alone(chunk)):
        assert ids(together[number]) == ids(expected)
        end, known = together[number][-1], expected[-1]
        assert isinstance(end, TokensDone)
        assert (end.reason, end.prompt_tokens, end.answer_tokens, end.seed) == (
            known.reason,
            known.prompt_tokens,
            known.answer_tokens,
            known.seed,
        )


def test_log_probabilities_are_those_of_the_row_alone() -> None:
    asked = requests(12, logprobs=2)
    together = side_by_side(engine(), asked)
    for number, request in enumerate(asked):
        for ours, known in zip(drawn(together[number]), drawn(alone(engine(), request)), strict=True):
            assert ours.logprob == pytest.approx(known.logprob)
            assert [token for token, _ in ours.top] == [token for token, _ in known.top]


@pytest.mark.parametrize("changes", [{"sliding_window": 7}, {"sliding_window": 1}], ids=str)
def test_rows_with_a_rolling_window_get_what_each_gets_alone(changes: dict[str, int]) -> None:
    model = lively(replace(ARGS, max_position_embeddings=2000, **changes))
    asked = requests(4, max_tokens=280)  # what a window of 7 keeps is moved after 262
    wide = NativeEngine(model, context=1000, eos_ids=())
    together = side_by_side(wide, asked, rows=3)
    for number, request in enumerate(asked):
        assert ids(together[number]) == ids(alone(NativeEngine(model, context=1000, eos_ids=()), request))


def test_an_eos_ends_its_row_only() -> None:
    asked = requests(6, temperature=0, max_tokens=12, repetition_penalty=1, presence_penalty=0, logit_bias={})
    whole = [ids(alone(engine(), request)) for request in asked]
    eos = whole[2][4]
    together = side_by_side(engine(eos=[eos]), asked)
    for number, known in enumerate(whole):
        expected = known[: known.index(eos)] if eos in known else known
        assert ids(together[number]) == expected
        assert together[number][-1].reason == ("stop" if eos in known else "length")


def test_the_context_ends_a_row_as_it_does_alone() -> None:
    asked = [TokenRequest(prompt=list(range(3, 97)) * 2, params=SamplingParams(temperature=0)), *requests(3)]
    end = side_by_side(engine(), asked)[0][-1]
    assert (end.reason, end.prompt_tokens, end.answer_tokens) == ("length", 188, 12)


# -- who comes when ---------------------------------------------------------------------------------------------------


def test_requests_are_taken_as_places_fall_free() -> None:
    taken: list[int] = []
    ended: list[int] = []

    def watched() -> Iterator[TokenRequest]:
        for number, request in enumerate(requests(12)):
            assert number - len(ended) < 3
            taken.append(number)
            yield request

    for index, event in engine().generate_many(watched(), rows=3):
        if isinstance(event, TokensDone):
            ended.append(index)
    assert sorted(ended) == taken == list(range(12))
    assert ended != taken  # the short ones overtake


def test_rows_go_on_while_there_is_no_request_yet() -> None:
    first, second = requests(2, max_tokens=5)
    seen: list[EngineEvent | MistralError] = []

    def slow() -> Iterator[TokenRequest | None]:
        yield first
        while not isinstance(seen and seen[-1], TokensDone):
            yield None
        yield second

    for _, event in engine().generate_many(slow(), rows=2):
        seen.append(event)
    assert sum(isinstance(event, TokensDone) for event in seen) == 2


def test_no_request_at_all_is_no_event() -> None:
    assert side_by_side(engine(), []) == {}


def test_a_first_token_does_not_wait_for_the_prompts_behind_it() -> None:
    order = [
        index
        for index, event in engine(chunk=9).generate_many(requests(30)[20:], rows=8)
        if isinstance(event, TokenDrawn)
    ]
    assert order.index(0) < order.index(2)
    assert order.count(0) > 1
    assert order[: order.index(7)].count(0) > 1  # it decodes while others are read


def test_short_prompts_are_read_before_one_pass_of_decoding() -> None:
    events = [event for _, event in engine().generate_many(requests(4), rows=4)]
    assert sum(isinstance(event, TokenDrawn) for event in events[:12]) == 4
    assert sum(isinstance(event, PrefillProgress) for event in events[:12]) == 8
