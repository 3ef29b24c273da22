"""Quantizing a model in place: which layers, under which names, and what it still computes."""

from __future__ import annotations

import pytest
import torch

from mistral_cli.kernels import library
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.model.transformer import Mistral
from mistral_cli.weights.quantize import quantize

pytestmark = pytest.mark.skipif(library.unavailable() is not None, reason="no compiler built the kernels here")

SMALL = {"dim": 128, "n_layers": 2, "head_dim": 32, "hidden_dim": 192, "n_heads": 4, "n_kv_heads": 2, "vocab_size": 200}


def model(**fields: object) -> Mistral:
    args = ModelArgs(**{**SMALL, **fields})  # type: ignore[arg-type]
    return Mistral(args, torch.Generator().manual_seed(0), dtype=torch.float32).eval()


def tokens(batch: int, length: int) -> torch.Tensor:
    return torch.randint(0, 200, (batch, length), generator=torch.Generator().manual_seed(1))


def test_every_projection_and_the_head_are_replaced_under_their_names() -> None:
    net = model()
    names = quantize(net)
    assert len(names) == 2 * 7 + 1
    assert isinstance(net.get_submodule("model.layers.1.self_attn.q_proj"), PackedLinear)
    assert isinstance(net.get_submodule("lm_head"), PackedLinear)


def test_what_is_to_be_kept_is_kept() -> None:
    net = model()
    assert "lm_head" not in quantize(net, keep=("lm_head",))
    assert isinstance(net.lm_head, torch.nn.Linear)


def test_a_router_is_kept_and_its_experts_are_not() -> None:
    net = model(moe=MoeArgs(num_experts=4))
    names = quantize(net)
    assert "model.layers.0.block_sparse_moe.experts.3.w2" in names
    assert not [name for name in names if name.endswith("gate")]


def test_a_layer_whose_width_is_no_multiple_of_64_is_kept() -> None:
    assert not [name for name in quantize(model(hidden_dim=200)) if "down_proj" in name]


@pytest.mark.parametrize("scheme", ["nf4", "int4"])
def test_a_quantized_model_computes_with_the_dequantized_weights(scheme: str) -> None:
    net, exact = model(), model()
    for name in quantize(net, scheme):
        exact.get_submodule(name).weight = torch.nn.Parameter(net.get_submodule(name).dequantize())
    with torch.no_grad():
        got, wanted = net(tokens(2, 20))[0], exact(tokens(2, 20))[0]
    assert (got - wanted).norm() / wanted.norm() < 2e-2


def test_gradients_pass_through_a_quantized_model() -> None:
    net = model()
    quantize(net)
    embedding = net.model.embed_tokens.weight
    net(tokens(1, 5))[0].square().sum().backward()
    assert embedding.grad is not None
    assert embedding.grad.abs().sum() > 0
