"""Many prompts side by side: each gets what it gets alone, however it is mixed with the others."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from mistral_cli.contract import PrefillProgress, SamplingParams, TokenDrawn, TokensDone
from mistral_cli.engine.batch import TokenRequest
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.errors import ContextError, MistralError, UsageError
from mistral_cli.model.args import ModelArgs
from mistral_cli.model.transformer import Mistral

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mistral_cli.contract import EngineEvent

ARGS = ModelArgs(
    dim=32,
    n_layers=3,
    head_dim=8,
    hidden_dim=64,
    n_heads=4,
    n_kv_heads=2,
    norm_eps=1e-5,
    vocab_size=97,
    max_position_embeddings=200,
    sliding_window=None,
)
GREEDY = SamplingParams(temperature=0, max_tokens=12)


def lively(args: ModelArgs = ARGS) -> Mistral:
    """Return a random model whose answers vary, in float64, where the order of sums changes no token."""
    model = Mistral(args, torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        for weight in model.model.layers.parameters():
            if weight.dim() > 1:
                weight.mul_(30)
    return model


MODEL = lively()


def engine(model: Mistral = MODEL, *, chunk: int = 256, eos: Sequence[int] = ()) -> NativeEngine:
    return NativeEngine(model, context=200, eos_ids=eos, control_ids={1, 2}, chunk=chunk)


def requests(count: int, **values: object) -> list[TokenRequest]:
    """Return prompts of 1 to 60 ids, each with parameters of its own."""
    generator = torch.Generator().manual_seed(count)
    made = []
    for number in range(count):
        length = 1 + number * 7 % 60
        prompt = torch.randint(3, 97, (length,), generator=generator).tolist()
        params = SamplingParams(
            temperature=0 if number % 3 == 0 else 0.5 + number / 10,
            top_k=number % 4,
            seed=number,
            max_tokens=3 + number * 5 % 17,
            repetition_penalty=1.3 if number % 5 == 0 else 1,
            presence_penalty=0.5 if number % 7 == 0 else 0,
            logit_bias={number % 97: 2.0} if number % 4 == 0 else {},
            logprobs=2 if number % 6 == 0 else None,
        )
        made.append(TokenRequest(prompt=prompt, params=params.with_values(values)))
    return made


def alone(which: NativeEngine, request: TokenRequest) -> list[EngineEvent]:
    which._kept.forget()
    return list(which.generate(request.prompt, request.params))


def side_by_side(
    which: NativeEngine, asked: Iterable[TokenRequest | MistralError | None], rows: int = 4
) -> dict[int, list[EngineEvent | MistralError]]:
    events: dict[int, list[EngineEvent | MistralError]] = {}
    for index, event in which.generate_many(asked, rows=rows):
        events.setdefault(index, []).append(event)
    return events


def drawn(events: Sequence[object]) -> list[TokenDrawn]:
    return [event for event in events if isinstance(event, TokenDrawn)]


def ids(events: Sequence[object]) -> list[int]:
    return [event.id for event in drawn(events)]


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
@pytest.mark.parametrize("chunk", [9, 256])
def test_prompts_of_unequal_length_get_what_each_gets_alone(rows: int, chunk: int) -> None:
    asked = requests(40)
    together = side_by_side(engine(chunk=chunk), asked, rows)
    for number, request in enumerate(asked):
        expected = alone(engine(chunk=chunk), request)
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
    asked = requests(6, max_tokens=300)
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


# -- what goes wrong --------------------------------------------------------------------------------------------------


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


# -- beginnings in common ---------------------------------------------------------------------------------------------


def alike(count: int, shared: int) -> list[TokenRequest]:
    beginning = [3 + number % 90 for number in range(shared)]
    return [TokenRequest(prompt=[*beginning, 7, 8 + number, 9], params=GREEDY) for number in range(count)]


def tokens_read(model: Mistral, ask: Callable[[], object]) -> int:
    """Return how many tokens pass the model's embedding meanwhile."""
    seen: list[int] = []
    handle = model.model.embed_tokens.register_forward_hook(lambda _module, args, _out: seen.append(args[0].numel()))
    ask()
    handle.remove()
    return sum(seen)


@pytest.mark.parametrize("rows", [2, 6])
@pytest.mark.parametrize("chunk", [9, 256])
def test_a_beginning_in_common_is_read_once(rows: int, chunk: int) -> None:
    asked = alike(6, shared=50)
    which = engine(chunk=chunk)
    together: dict[int, list[object]] = {}
    read = tokens_read(which.model, lambda: together.update(side_by_side(which, asked, rows)))
    assert read == 51 + 6 * 2 + 6 * 11
    assert [together[number][-1].reused_tokens for number in range(6)] == [0] + [51] * 5
    for number, request in enumerate(asked):
        assert ids(together[number]) == ids(alone(engine(), request))


def test_the_very_same_prompt_twice_shares_all_but_its_last_id() -> None:
    asked = alike(1, shared=50) * 3
    together = side_by_side(engine(), asked)
    assert [together[number][-1].reused_tokens for number in range(3)] == [0, 52, 52]
    assert ids(together[0]) == ids(together[1]) == ids(together[2])


def test_the_next_batch_reuses_what_the_last_one_left() -> None:
    which = engine()
    side_by_side(which, alike(2, shared=50), rows=1)
    assert side_by_side(which, alike(3, shared=50)[2:], rows=1)[0][-1].reused_tokens == 51


def test_a_row_whose_donor_ends_half_read_is_read_by_itself() -> None:
    flag = threading.Event()
    asked = alike(3, shared=50)
    asked[0] = replace(asked[0], cancel=flag)
    events: dict[int, list[object]] = {}
    for index, event in engine(chunk=9).generate_many(asked, rows=3):
        events.setdefault(index, []).append(event)
        if index == 0 and isinstance(event, PrefillProgress) and event.done == 18:
            flag.set()
    assert events[0][-1].reason == "cancelled"
    for number in (1, 2):
        assert ids(events[number]) == ids(alone(engine(), asked[number]))
    assert events[2][-1].reused_tokens == 51


def test_a_donor_whose_window_has_rolled_past_the_beginning_is_not_used() -> None:
    model = lively(replace(ARGS, sliding_window=7, max_position_embeddings=2000))

    def wide() -> NativeEngine:
        return NativeEngine(model, context=1500, eos_ids=(), chunk=64)

    long = TokenRequest(prompt=[3 + number % 90 for number in range(700)], params=GREEDY)
    short = TokenRequest(prompt=[*long.prompt[:40], 5], params=GREEDY)
    together = side_by_side(wide(), [long, short], rows=2)
    for number, request in enumerate((long, short)):
        assert ids(together[number]) == ids(alone(wide(), request))
