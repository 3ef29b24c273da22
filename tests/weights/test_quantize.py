"""Quantizing a model in place: which layers, under which names, and what it still computes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from written_checkpoints import draw_weights, write_huggingface, write_mistral

from mistral_cli.errors import UsageError
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.model.transformer import Mistral
from mistral_cli.weights.checkpoint import load_model
from mistral_cli.weights.methods import choose_method
from mistral_cli.weights.quantize import quantize, quantized_bytes

if TYPE_CHECKING:
    from pathlib import Path

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


# -- quantized while it is read ----------------------------------------------------------------------------------------

DENSE = ModelArgs(**SMALL, sliding_window=None)
SPARSE = replace(DENSE, moe=MoeArgs(num_experts=4))
ODD = replace(DENSE, hidden_dim=200)
"""With a layer that cannot be packed."""


@pytest.mark.parametrize("scheme", ["nf4", "int4"])
@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("args", [DENSE, SPARSE, ODD], ids=["dense", "experts", "odd width"])
@pytest.mark.parametrize("write", [write_huggingface, write_mistral])
def test_what_is_quantized_while_it_is_read_is_what_the_loaded_model_becomes(
    tmp_path: Path, write: type(write_mistral), args: ModelArgs, stored: torch.dtype, scheme: str
) -> None:
    folder = write(tmp_path, args, draw_weights(args, stored))
    loaded = load_model(folder, "bfloat16")
    names = quantize(loaded, scheme)
    streamed = load_model(folder, "bfloat16", quantize=scheme)
    assert {name for name, module in streamed.named_modules() if isinstance(module, PackedLinear)} == {*names}
    expected, found = loaded.state_dict(), streamed.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert not any(module.training for module in streamed.modules())


@pytest.mark.parametrize("args", [DENSE, SPARSE, ODD, replace(DENSE, tie_word_embeddings=True, vocab_size=203)])
def test_the_bytes_are_counted_before_anything_is_read(tmp_path: Path, args: ModelArgs) -> None:
    folder = write_huggingface(tmp_path, args, draw_weights(args))
    state = load_model(folder, "bfloat16", quantize="nf4").state_dict()
    nf4 = choose_method("nf4", torch.device("cpu"))
    assert nf4 is not None
    assert quantized_bytes(args, torch.bfloat16, nf4) == sum(value.nbytes for value in state.values())


def test_nothing_is_quantized_unasked(tmp_path: Path) -> None:
    net = load_model(write_huggingface(tmp_path, DENSE, draw_weights(DENSE)))
    assert not [module for module in net.modules() if isinstance(module, PackedLinear)]


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["nf4", "int8", "int4"])
def test_a_device_that_computes_nothing_is_refused_with_what_to_do(scheme: str) -> None:
    with pytest.raises(UsageError, match=f"{scheme} cannot be used on mps: nothing computes it there, but") as caught:
        choose_method(scheme, torch.device("mps"))
    assert caught.value.hint == "Add --device cpu, or leave --quantize out."


def test_a_scheme_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path, DENSE, draw_weights(DENSE))
    with pytest.raises(UsageError, match="--quantize is 'nf3', but must be none, nf4, int8, int4"):
        load_model(folder, quantize="nf3")


def test_our_kernel_is_left_out_where_the_environment_says_so() -> None:
    program = (
        "import torch; from mistral_cli.weights.methods import choose_method as c\n"
        "print(*[c(scheme, torch.device('cpu')).by for scheme in ('nf4', 'int8', 'int4')])"
    )
    environment = {**os.environ, "MISTRAL_CLI_KERNEL": "none"}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["bitsandbytes", "torch", "torch"]


def test_a_layer_is_taken_apart_and_put_together_without_a_copy() -> None:
    method = choose_method("nf4", torch.device("cpu"))
    assert method is not None
    weight = torch.randn(48, 128, generator=torch.Generator().manual_seed(2)).bfloat16()
    layer = method.quantize(weight, torch.device("cpu"), torch.bfloat16)
    parts = method.tensors(layer)
    again = method.restore(parts, (48, 128), torch.bfloat16)
    assert {name: part.data_ptr() for name, part in method.tensors(again).items()} == {
        name: part.data_ptr() for name, part in parts.items()
    }
    assert torch.equal(again(weight[:3]), layer(weight[:3]))
    assert sum(part.nbytes for part in parts.values()) == method.nbytes(48, 128)
