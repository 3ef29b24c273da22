"""Logits and gradients equal transformers' in float64."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from oracle import PLAIN, SHAPES, gap, in_pieces, models, tokens, transformers_names

if TYPE_CHECKING:
    from mistral_cli.model.transformer import Mistral

EXACT = 1e-10
PIECES = {"whole": [40], "token by token": [1] * 40, "in chunks": [5, 1, 13, 8, 13]}


@pytest.mark.parametrize("shape", SHAPES)
@torch.inference_mode()
def test_logits_equal_transformers(shape: str) -> None:
    ours, theirs = models(SHAPES[shape])
    ids = tokens()
    expected = theirs(ids).logits
    assert expected.std() > 0.3  # logits that say something
    for sizes in PIECES.values():
        assert gap(in_pieces(ours, ids, sizes), expected) < EXACT


@pytest.mark.parametrize("window", [None, 2, 7, 8, 9, 39, 40, 64])
@torch.inference_mode()
def test_logits_equal_transformers_for_every_window(window: int | None) -> None:
    ours, theirs = models(replace(PLAIN, sliding_window=window))
    ids = tokens()
    expected = theirs(ids).logits
    for sizes in PIECES.values():
        assert gap(in_pieces(ours, ids, sizes), expected) < EXACT


@torch.inference_mode()
def test_windows_make_a_difference() -> None:
    logits = [models(replace(PLAIN, sliding_window=window))[0](tokens())[0] for window in (None, 39, 9, 8)]
    for wider, narrower in itertools.pairwise(logits):
        assert gap(wider, narrower) > 1e-6


@pytest.mark.parametrize("sizes", PIECES.values(), ids=PIECES)
@torch.inference_mode()
def test_a_window_of_one_token_passes_its_own_value_on(sizes: list[int]) -> None:
    ours, _ = models(replace(PLAIN, sliding_window=1))
    ids = tokens()
    assert gap(in_pieces(ours, ids, sizes), logits_of_own_values(ours, ids)) < EXACT


def logits_of_own_values(model: Mistral, ids: Tensor) -> Tensor:
    """Return logits computed directly: the softmax over one score is 1, whatever the score."""
    hidden = model.model.embed_tokens(ids)
    for layer in model.model.layers:
        attention = layer.self_attn
        value = attention.v_proj(layer.input_layernorm(hidden)).unflatten(-1, (-1, attention.head_dim))
        shared = value.repeat_interleave(model.args.n_heads // model.args.n_kv_heads, 2)
        hidden = hidden + attention.o_proj(shared.flatten(2))
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    return model.lm_head(model.model.norm(hidden))


@pytest.mark.parametrize("sizes", [[600], [10, 300, 290], [250] + [1] * 350, [1] * 20 + [100, 100, 100, 80, 200]])
@torch.inference_mode()
def test_logits_stay_right_when_a_window_has_rolled_many_times(sizes: list[int]) -> None:
    ours, theirs = models(SHAPES["windowed"])
    ids = tokens(1, 600)
    assert gap(in_pieces(ours, ids, sizes), theirs(ids).logits) < EXACT


@torch.inference_mode()
def test_logits_stay_right_when_what_a_wide_window_keeps_overlaps_its_new_place() -> None:
    ours, theirs = models(replace(PLAIN, sliding_window=600))
    ids = tokens(2, 1500)
    assert gap(in_pieces(ours, ids, [100] * 15), theirs(ids).logits) < EXACT


@torch.inference_mode()
def test_layers_with_windows_of_their_own_compute_each_with_its_own() -> None:
    ours, theirs = models(replace(PLAIN, sliding_window=(None, 7)))
    ids = tokens(1, 300)
    expected = theirs(ids).logits
    for sizes in ([300], [100] + [1] * 200, [1, 299]):
        assert gap(in_pieces(ours, ids, sizes), expected) < EXACT


@torch.inference_mode()
def test_far_positions_are_turned_as_transformers_turns_them() -> None:
    ours, theirs = models(PLAIN)
    ids = tokens(1, 1500)
    assert gap(in_pieces(ours, ids, [700, 1, 799]), theirs(ids).logits) < EXACT


@pytest.mark.parametrize("shape", ["nemo-like", "windowed", "mixtral", "tied"])
def test_gradients_equal_transformers(shape: str) -> None:
    ours, theirs = models(SHAPES[shape])
    ids = tokens()
    ours(ids)[0].square().mean().backward()
    theirs(ids).logits.square().mean().backward()
    gradients = {name: weight.grad for name, weight in ours.named_parameters()}
    if SHAPES[shape].moe:
        gradients = transformers_names(gradients)
    expected = {name: weight.grad for name, weight in theirs.named_parameters()}
    assert set(gradients) == set(expected)
    for name, gradient in gradients.items():
        assert expected[name].abs().max() > 1e-4
        assert gap(gradient, expected[name]) < EXACT
