"""How an answer of the engine ends before its time: cancelled, closed, broken, out of memory; and what is kept."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from lively_engine import ARGS, GREEDY, PROMPT, ask, by_hand, engine, ids, lively

from mistral_cli.contract import Notice, TokenDrawn
from mistral_cli.errors import MistralError, OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.model.transformer import Mistral


class SetAfter(threading.Event):
    """A cancel flag that is set when it has been read ``reads`` times."""

    def __init__(self, reads: int) -> None:
        super().__init__()
        self.left = reads

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("reads", range(0, 12))
def test_a_cancel_between_any_two_layers_leaves_a_cache_that_goes_on_as_a_cold_one(reads: int) -> None:
    warm = engine(chunk=10)
    events = list(warm.generate(PROMPT, GREEDY, cancel=SetAfter(reads)))
    assert events[-1].reason == "cancelled"
    assert events[-1].answer_tokens == (0 if reads < 10 else 1)
    answer, done = ask(warm)
    assert answer == by_hand(PROMPT, 12)
    assert done.reused_tokens == min(reads // ARGS.n_layers * 10, 29)


def test_a_cancel_flag_is_read_before_every_layer_of_a_chunk() -> None:
    flag = SetAfter(10**6)
    list(engine().generate(PROMPT, GREEDY.with_values({"max_tokens": 1}), cancel=flag))
    assert 10**6 - flag.left >= ARGS.n_layers


def test_a_cancelled_answer_says_what_it_had() -> None:
    flag = threading.Event()
    events = []
    for event in engine().generate(PROMPT, GREEDY, cancel=flag):
        events.append(event)
        if len(ids(events)) == 4:
            flag.set()
    assert ids(events) == by_hand(PROMPT, 4)
    assert events[-1] == replace(events[-1], reason="cancelled", answer_tokens=4)


def test_closing_the_iterator_keeps_the_cache_of_what_was_drawn() -> None:
    warm = engine()
    events = warm.generate(PROMPT, GREEDY)
    drawn = [event.id for event, _ in zip((e for e in events if isinstance(e, TokenDrawn)), range(5), strict=False)]
    events.close()
    answer, done = ask(warm, [*PROMPT, *drawn])
    assert done.reused_tokens == len(PROMPT) + 4  # the last one drawn was never computed
    assert answer == by_hand([*PROMPT, *drawn], 12)


def test_a_new_answer_closes_the_one_before() -> None:
    shared = engine()
    first = shared.generate(PROMPT, GREEDY)
    next(event for event in first if isinstance(event, TokenDrawn))
    assert ask(shared, PROMPT[:20])[0] == by_hand(PROMPT[:20], 12)
    assert list(first) == []


def test_the_next_turn_reads_only_what_is_new() -> None:
    chat = engine()
    answer, _ = ask(chat)
    longer = [*PROMPT, *answer, 40, 41, 42]
    again, done = ask(chat, longer)
    assert done.reused_tokens == len(PROMPT) + 11
    assert again == by_hand(longer, 12)


def test_the_same_prompt_again_computes_its_last_token_only() -> None:
    chat = engine()
    first, _ = ask(chat)
    again, done = ask(chat)
    assert (again, done.reused_tokens) == (first, 29)


def test_a_window_that_rolled_past_is_read_again_and_said() -> None:
    model = lively(replace(ARGS, sliding_window=8, max_position_embeddings=2000))
    chat = engine(model, context=2000)
    prompt = [3 + index % 90 for index in range(700)]
    ask(chat, prompt)
    events = list(chat.generate(prompt[:400], GREEDY.with_values({"max_tokens": 12})))
    assert "sliding window" in next(event.text for event in events if isinstance(event, Notice))
    assert events[-1].reused_tokens == 0
    assert ids(events) == by_hand(prompt[:400], 12, model)


def test_a_new_chat_after_a_rolled_window_gives_no_notice() -> None:
    chat = engine(lively(replace(ARGS, sliding_window=8, max_position_embeddings=2000)), context=2000)
    ask(chat, [3 + index % 90 for index in range(700)])
    events = list(chat.generate([3, 4, 50, 51, 52, 53, 54], GREEDY.with_values({"max_tokens": 2})))
    assert not any(isinstance(event, Notice) for event in events)


def broken(change: Callable[[Mistral], None]) -> Mistral:
    model = lively()
    with torch.no_grad():
        change(model)
    return model


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_logits_that_are_not_finite_stop_at_the_first_token(value: float) -> None:
    model = broken(lambda model: model.lm_head.weight[5].fill_(value))
    with pytest.raises(MistralError, match=r"not finite .* token 1 of the answer, after 30 tokens"):
        list(engine(model).generate(PROMPT, GREEDY))


def test_the_error_names_the_token_at_which_logits_broke() -> None:
    expected = by_hand(PROMPT, 12)
    third = expected[2]
    assert third not in PROMPT
    assert third not in expected[:2]
    model = broken(lambda model: model.model.embed_tokens.weight[third].fill_(torch.nan))
    drawn = []
    with pytest.raises(MistralError, match="token 4 of the answer, after 33 tokens") as caught:
        drawn.extend(event for event in engine(model).generate(PROMPT, GREEDY))
    assert "--dtype float32" in caught.value.hint
    assert caught.value.exit_code == 1


def test_after_broken_logits_the_next_answer_starts_afresh() -> None:
    expected = by_hand(PROMPT, 12)
    model = broken(lambda model: model.model.embed_tokens.weight[expected[2]].fill_(torch.nan))
    chat = engine(model)
    with pytest.raises(MistralError, match="not finite"):
        list(chat.generate(PROMPT, GREEDY))
    answer, done = ask(chat, max_tokens=3)
    assert (answer, done.reused_tokens) == (expected[:3], 0)


def out_of_memory_on_the_cpu() -> None:
    torch.empty(2**60, dtype=torch.int8)


def out_of_memory_on_a_mac() -> None:
    raise RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB). Tried to allocate 1.00 GB on private pool.")


@pytest.mark.parametrize("run_out", [out_of_memory_on_the_cpu, out_of_memory_on_a_mac])
def test_memory_that_runs_out_is_said_as_such(run_out: Callable[[], None]) -> None:
    def greedy_layer(*_: object) -> None:
        run_out()

    chat = engine(lively())
    handle = chat.model.model.norm.register_forward_pre_hook(greedy_layer)
    with pytest.raises(OutOfMemoryError, match="memory ran out"):
        list(chat.generate(PROMPT, GREEDY))
    handle.remove()
    assert ask(chat)[0] == by_hand(PROMPT, 12)


def test_other_errors_of_torch_stay_what_they_are() -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("shapes")

    chat = engine(lively())
    chat.model.model.norm.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="shapes"):
        list(chat.generate(PROMPT, GREEDY))
