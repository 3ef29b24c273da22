"""What ends one row of a batch, and what ends all."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from batches import GREEDY, alone, ids, requests, side_by_side
from lively_engine import engine, lively

from mistral_cli.contract import TokenDrawn
from mistral_cli.engine.batch import TokenRequest
from mistral_cli.errors import ContextError, MistralError, UsageError


def test_what_is_wrong_with_one_request_is_its_own_last_event() -> None:
    good = requests(4)
    bad = [
        TokenRequest(prompt=[5] * 200, params=GREEDY),
        TokenRequest(prompt=[], params=GREEDY),
        TokenRequest(prompt=[5], params=GREEDY.with_values({"logit_bias": {97: 1}})),
        UsageError("Not even ids."),
    ]
    together = side_by_side(engine(), [good[0], *bad, *good[1:]], rows=2)
    assert [type(together[number][-1]) for number in range(1, 5)] == [ContextError, UsageError, UsageError, UsageError]
    for number, request in zip((0, 5, 6, 7), good, strict=True):
        assert ids(together[number]) == ids(alone(engine(), request))


def test_logits_that_are_not_finite_fail_their_row_only() -> None:
    model = lively()
    with torch.no_grad():
        model.model.embed_tokens.weight[90] = torch.nan
        model.lm_head.weight[90] = 0
    asked = [TokenRequest(prompt=[3, 4, 5, number], params=GREEDY) for number in (6, 90, 7, 8)]
    which = engine(model)
    together = side_by_side(which, asked, rows=4)
    error = together[1][-1]
    assert isinstance(error, MistralError)
    assert "token 1 of the answer" in str(error)
    for number in (0, 2, 3):
        assert ids(together[number]) == ids(alone(engine(model), asked[number]))


def test_a_row_that_turns_to_nan_while_decoding_leaves_the_others_as_they_are() -> None:
    model = lively()
    with torch.no_grad():
        model.model.embed_tokens.weight[90] = torch.nan
        model.lm_head.weight[90] = 0
    biased = GREEDY.with_values({"logit_bias": {90: 1e9}})
    asked = [
        TokenRequest(prompt=[3, 4, 5, 6 + number], params=biased if number == 1 else GREEDY) for number in range(4)
    ]
    together = side_by_side(engine(model), asked, rows=4)
    assert ids(together[1]) == [90]
    assert "token 2 of the answer" in str(together[1][-1])
    for number in (0, 2, 3):
        assert ids(together[number]) == ids(alone(engine(model), asked[number]))


# -- who ends it ------------------------------------------------------------------------------------------------------


def test_a_flag_ends_its_row_only() -> None:
    flag = threading.Event()
    asked = [replace(request, cancel=flag) if number == 1 else request for number, request in enumerate(requests(3))]
    events: dict[int, list[object]] = {}
    for index, event in engine().generate_many(asked, rows=3):
        events.setdefault(index, []).append(event)
        if len(ids(events.get(1, []))) == 2:
            flag.set()
    assert (events[1][-1].reason, len(ids(events[1]))) == ("cancelled", 2)
    for number in (0, 2):
        assert ids(events[number]) == ids(alone(engine(), asked[number]))


class _After:
    """A flag that sets itself when it was looked at so many times."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("looks", [0, 1, 5, 9, 13, 20, 50])
def test_a_flag_for_all_ends_all_wherever_it_is_noticed(looks: int) -> None:
    flag = _After(looks)
    together = side_by_side(engine(), [replace(request, cancel=flag) for request in requests(3, max_tokens=50)])
    assert [events[-1].reason for events in together.values()] == ["cancelled"] * 3


def test_closing_ends_all_and_the_engine_answers_again() -> None:
    which, asked = engine(), requests(5)
    events = which.generate_many(asked, rows=3)
    while not isinstance(next(events)[1], TokenDrawn):
        pass
    events.close()
    assert ids(list(which.generate(asked[3].prompt, asked[3].params))) == ids(alone(engine(), asked[3]))


def test_a_new_answer_closes_a_batch_that_is_running() -> None:
    which, asked = engine(), requests(5)
    events = which.generate_many(asked, rows=3)
    next(events)
    which.generate(asked[3].prompt, asked[3].params)
    assert list(events) == []
