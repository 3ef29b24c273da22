"""Prepared steps: the same numbers as the model's own, at every edge, and out of the way where anything differs."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest
import torch
from test_generate import ARGS, GREEDY, PROMPT, ids, lively
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from mistral_cli.engine.captured import Steps, keep_calls
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.errors import ContextError
from mistral_cli.model.args import MoeArgs
from mistral_cli.model.cache import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from mistral_cli.model.cache import KVCache
    from mistral_cli.model.transformer import Mistral

LONG = replace(ARGS, max_position_embeddings=3 * BLOCK)
WINDOWED = replace(LONG, sliding_window=20)
MODEL = lively(LONG)


def recorded(step: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """Return what repeats the tensor calls of ``step`` and none of its Python: what a graph does, on any device."""
    return make_fx(step)()


def filled(model: Mistral, tokens: int, *, capacity: int = 3 * BLOCK) -> KVCache:
    """Return a cache that holds ``tokens``, read by the model's own pass."""
    cache = model.new_cache(capacity=capacity)
    with torch.inference_mode():
        model(some(tokens), cache)
    return cache


def some(tokens: int) -> Tensor:
    return torch.randint(3, ARGS.vocab_size, (1, tokens), generator=torch.Generator().manual_seed(tokens))


def assert_same(model: Mistral, steps: Steps, cache: KVCache, reference: KVCache, count: int) -> None:
    """Take ``count`` steps on both caches, prepared and not, and compare the logits."""
    for token in some(count)[0].tolist():
        logits = steps(token, cache)
        with torch.inference_mode():
            wanted, _ = model(torch.tensor([[token]]), reference)
        assert logits is not None
        torch.testing.assert_close(logits, wanted, rtol=0, atol=1e-10)
        assert cache.length == reference.length


@pytest.mark.parametrize("length", [1, BLOCK - 2, BLOCK, 2 * BLOCK - 1])
def test_a_recorded_step_computes_what_the_model_does_across_the_edges_of_buckets(length: int) -> None:
    cache, reference = filled(MODEL, length), filled(MODEL, length)
    assert_same(MODEL, Steps(MODEL, recorded), cache, reference, 4)
    for layer, other in zip(cache.layers, reference.layers, strict=True):
        torch.testing.assert_close(layer.keys[:, :, : cache.length], other.keys[:, :, : cache.length])


@pytest.mark.parametrize("length", [3, 18, 30])
def test_a_window_is_seen_through_a_mask_until_it_moves(length: int) -> None:
    model = lively(WINDOWED)
    assert_same(model, Steps(model, recorded), filled(model, length), filled(model, length), 5)


def test_a_window_that_has_moved_is_left_to_the_model() -> None:
    model = lively(WINDOWED)
    steps, cache = Steps(model, keep_calls), filled(model, BLOCK + 18)
    assert steps(5, cache) is not None
    assert steps(5, cache) is None  # this one makes room
    assert cache.length == BLOCK + 19
    assert steps(5, cache) is None


def test_what_a_rewound_cache_leaves_behind_is_not_seen() -> None:
    steps, cache = Steps(MODEL, recorded), filled(MODEL, 40)
    assert_same(MODEL, steps, cache, filled(MODEL, 40), 3)
    cache.crop(17)
    reference = filled(MODEL, 40)
    reference.crop(17)
    assert_same(MODEL, steps, cache, reference, 3)


def test_a_nan_behind_the_cache_is_not_seen() -> None:
    cache = filled(MODEL, 40)
    for layer in cache.layers:
        layer.keys[:, :, 30:] = layer.values[:, :, 30:] = torch.nan
    cache.crop(30)
    reference = filled(MODEL, 40)
    reference.crop(30)
    assert_same(MODEL, Steps(MODEL, keep_calls), cache, reference, 2)


def test_a_step_is_prepared_once_for_each_bucket_and_again_where_the_cache_has_moved() -> None:
    prepared = []

    def count(step: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
        prepared.append(step)
        return keep_calls(step, device)

    steps, cache = Steps(MODEL, count), filled(MODEL, BLOCK - 1)
    for _ in range(4):  # the second of these makes the cache grow
        assert steps(5, cache) is not None
    assert len(prepared) == 2
    cache.crop(BLOCK - 2)
    for _ in range(4):
        assert steps(5, cache) is not None
    assert len(prepared) == 3  # the first bucket lies elsewhere now


def test_a_full_cache_is_refused_and_left_as_it_was() -> None:
    cache = filled(MODEL, 50, capacity=50)
    with pytest.raises(ContextError, match="51 tokens"):
        Steps(MODEL, keep_calls)(5, cache)
    assert cache.length == 50


def test_a_capacity_that_is_no_multiple_of_a_bucket_is_used_to_its_last_token() -> None:
    cache, reference = filled(MODEL, 40, capacity=43), filled(MODEL, 40, capacity=43)
    assert_same(MODEL, Steps(MODEL, recorded), cache, reference, 3)


def test_several_rows_padding_and_codes_are_left_to_the_model() -> None:
    steps = Steps(MODEL, keep_calls)
    rows = MODEL.new_cache(2)
    padded = MODEL.new_cache()
    padded.padding = torch.tensor([1])
    MODEL.kv = "int8"
    try:
        codes = MODEL.new_cache()
    finally:
        MODEL.kv = "none"
    assert [steps(5, cache) for cache in (rows, padded, codes)] == [None] * 3


def test_a_mixture_of_experts_is_left_to_the_model() -> None:
    model = lively(replace(ARGS, moe=MoeArgs(num_experts=4, num_experts_per_tok=2)))
    assert Steps(model, keep_calls)(5, filled(model, 4)) is None


def test_a_hook_or_another_module_in_place_is_left_to_the_model_until_it_is_gone() -> None:
    model = lively(LONG)
    steps, cache = Steps(model, recorded), filled(model, 10)
    attention = model.model.layers[1].self_attn
    own = attention.q_proj
    attention.q_proj = nn.Sequential(own)
    assert steps(5, cache) is None
    attention.q_proj = own
    watching = attention.register_forward_hook(lambda *_: None)
    assert steps(5, cache) is None
    watching.remove()
    assert_same(model, steps, cache, filled(model, 10), 2)


def test_weights_that_were_replaced_between_two_answers_count() -> None:
    model = lively(LONG)
    steps, cache = Steps(model, recorded), filled(model, 10)
    assert steps(5, cache) is not None
    head = model.lm_head
    assert head is not None
    head.weight = nn.Parameter(-head.weight.detach())
    cache.crop(10)
    assert_same(model, steps, cache, filled(model, 10), 2)


def test_a_step_that_cannot_be_recorded_is_tried_once() -> None:
    tried = []
    steps, cache = Steps(MODEL, lambda step, _: tried.append(step)), filled(MODEL, 10)
    assert [steps(5, cache), steps(5, cache)] == [None, None]
    assert len(tried) == 1
    assert cache.length == 10


def test_answers_are_the_same_with_prepared_steps_and_without() -> None:
    with_steps = NativeEngine(MODEL, context=2 * BLOCK, eos_ids=(), steps=Steps(MODEL, recorded))
    without = NativeEngine(MODEL, context=2 * BLOCK, eos_ids=())
    params = GREEDY.with_values({"max_tokens": 30})
    for prompt in (PROMPT, PROMPT[:11], (*PROMPT[:11], 60, 61), list(some(BLOCK - 8)[0].tolist())):
        assert ids(list(with_steps.generate(prompt, params))) == ids(list(without.generate(prompt, params)))


@pytest.mark.gpu
@pytest.mark.parametrize("length", [1, BLOCK - 2, BLOCK])
def test_a_cuda_graph_computes_what_the_model_does(length: int) -> None:
    model = lively(LONG).cuda()
    steps, caches = Steps(model), [model.new_cache(capacity=3 * BLOCK) for _ in range(2)]
    with torch.inference_mode():
        for cache in caches:
            model(some(length).cuda(), cache)
        for token in some(5)[0].tolist():
            logits = steps(token, caches[0])
            wanted, _ = model(torch.tensor([[token]]).cuda(), caches[1])
            assert logits is not None
            torch.testing.assert_close(logits, wanted, rtol=0, atol=1e-10)


@pytest.mark.gpu
def test_answers_on_a_gpu_are_the_same_captured_and_not() -> None:
    model = lively(LONG).cuda()
    captured = NativeEngine(model, context=2 * BLOCK, eos_ids=())
    plain = NativeEngine(model, context=2 * BLOCK, eos_ids=(), steps=Steps(model, lambda *_: None))
    params = GREEDY.with_values({"max_tokens": BLOCK})
    assert ids(list(captured.generate(PROMPT, params))) == ids(list(plain.generate(PROMPT, params)))


@pytest.mark.gpu
@pytest.mark.filterwarnings("always")
def test_a_token_on_a_gpu_costs_one_wait() -> None:
    model = lively(LONG).cuda()
    engine = NativeEngine(model, context=2 * BLOCK, eos_ids=())
    events = engine.generate(PROMPT, GREEDY.with_values({"max_tokens": 40}))
    while not ids([next(events)]):
        pass
    next(events)  # captures
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with pytest.warns(UserWarning, match="synchroniz") as warned:
            list(islice(events, 10))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len([warning for warning in warned if "synchroniz" in str(warning.message)]) == 10
