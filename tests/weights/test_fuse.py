"""A fused model computes what the model itself computes, row for row, and steps aside for whatever joins it."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from fused_pairs import PLAIN, SHAPES, TOKENS, error, exact, pair
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from mistral_cli.kernels import packing
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.schemes import NF4, SCHEMES
from mistral_cli.model.transformer import Mistral
from mistral_cli.weights.fuse import fuse

LENGTHS = (5, 17, 30)


class Lora(nn.Module):
    """An adapter as they come: its matrices have the model's dtype and so must what they read."""

    def __init__(self, base: PackedLinear, strength: float) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Linear(base.in_features, 4, bias=False, dtype=torch.bfloat16)
        self.up = nn.Linear(4, base.out_features, bias=False, dtype=torch.bfloat16)
        with torch.no_grad():
            self.up.weight.fill_(strength)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


@pytest.mark.parametrize("kv", ["none", "int8"])
@pytest.mark.parametrize("shape", SHAPES)
@torch.inference_mode()
def test_a_fused_model_computes_what_the_model_computes(shape: str, kv: str) -> None:
    model, fused = exact(SHAPES[shape], kv)
    assert error(fused(TOKENS)[0], model(TOKENS)[0]) < (1e-3 if kv == "none" else 6e-2)


def test_layers_whose_errors_weigh_most_compute_finely() -> None:
    _, fused = pair(replace(PLAIN, n_layers=9))
    coarse = [
        name.split(".")[2:]
        for name, module in fused.named_modules()
        if isinstance(module, PackedLinear) and not module.fine
    ]
    above_the_first_eighth = [str(layer) for layer in range(2, 9)]
    assert sorted({layer for layer, *_ in coarse}) == above_the_first_eighth
    assert {last for *_, last in coarse} == {"q_proj", "k_proj", "gate_proj", "up_proj", "down_proj"}


@torch.inference_mode()
def test_in_bfloat16_it_is_nearer_to_exact_arithmetic_than_the_model_itself() -> None:
    model, fused = pair()
    dense = copy.deepcopy(model)
    for name, module in list(dense.named_modules()):
        if isinstance(module, PackedLinear):
            linear = nn.Linear(module.in_features, module.out_features, bias=False)
            linear.weight = nn.Parameter(module.dequantize(), requires_grad=False)
            dense.set_submodule(name, linear)
    wanted = dense.float()(TOKENS)[0]
    assert error(fused(TOKENS)[0], wanted) < min(2e-2, error(model(TOKENS)[0], wanted))


@pytest.mark.parametrize("kv", ["none", "int8"])
@pytest.mark.parametrize("shape", SHAPES)
@torch.inference_mode()
def test_whole_and_in_chunks_the_bits_are_the_same(shape: str, kv: str) -> None:
    _, fused = pair(SHAPES[shape], kv=kv)
    whole, cache, logits = fused(TOKENS, last_only=True)[0], None, None
    for piece in TOKENS.split([13, 1, 1, 20, 5], 1):
        logits, cache = fused(piece, cache, last_only=True)
    assert torch.equal(logits, whole)


@pytest.mark.parametrize("kv", ["none", "int8"])
@pytest.mark.parametrize("shape", SHAPES)
@torch.inference_mode()
def test_a_row_among_others_has_the_bits_that_it_has_alone(shape: str, kv: str) -> None:
    _, fused = pair(SHAPES[shape], kv=kv)
    caches = [fused(TOKENS[:, :length])[1] for length in LENGTHS]
    step = torch.tensor([[3], [4], [5]])
    together = fused.forward_rows(step, caches)
    for row, length in enumerate(LENGTHS):
        cache = fused(TOKENS[:, :length])[1]
        assert torch.equal(fused(step[row : row + 1], cache)[0], together[row : row + 1])


@pytest.mark.parametrize("watched", ["layers.1", "layers.1.mlp", "layers.1.self_attn.q_proj", "layers.0.mlp.down_proj"])
@torch.inference_mode()
def test_layers_that_are_called_one_by_one_have_the_same_bits(watched: str) -> None:
    _, fused = pair()
    alone, seen = fused(TOKENS)[0], []
    hook = fused.model.get_submodule(watched).register_forward_hook(lambda *_: seen.append(1))
    assert torch.equal(fused(TOKENS)[0], alone)
    assert seen == [1]  # and who watches is told
    hook.remove()
    fused(TOKENS)
    assert seen == [1]


@pytest.mark.parametrize("name", ["self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"])
@torch.inference_mode()
def test_an_adapter_takes_part_and_leaves_without_a_trace(name: str) -> None:
    model, fused = pair()
    before = fused(TOKENS)[0]
    for each in (model, fused):
        place = f"model.layers.1.{name}"
        each.set_submodule(place, Lora(each.get_submodule(place), 0.0))
    assert error(fused(TOKENS)[0], before) < 2e-2  # an adapter of nothing, in bfloat16
    for each in (model, fused):
        each.get_submodule(f"model.layers.1.{name}").up.weight.fill_(0.5)
        each.get_submodule(f"model.layers.1.{name}").down.weight.fill_(0.1)
    assert error(fused(TOKENS)[0], before) > 1e-1
    assert error(fused(TOKENS)[0], model(TOKENS)[0]) < 6e-2
    fused.set_submodule(f"model.layers.1.{name}", fused.get_submodule(f"model.layers.1.{name}").base)
    assert torch.equal(fused(TOKENS)[0], before)


def test_gradients_reach_an_adapter_through_a_fused_model() -> None:
    model, fused = pair()
    gradients = []
    for each in (model, fused):
        torch.manual_seed(0)
        lora = Lora(each.model.layers[1].self_attn.q_proj, 0.01)
        each.model.layers[1].self_attn.q_proj = lora
        each(TOKENS)[0].logsumexp(-1).mean().backward()
        gradients.append(lora.up.weight.grad.float())
    assert gradients[0].norm() > 0
    assert error(gradients[1], gradients[0]) < 5e-2


@torch.inference_mode()
def test_weights_that_move_are_found_again() -> None:
    model, fused = pair()
    fused(TOKENS)
    for layer in fused.model.layers:  # as a change of device does it
        layer.mlp.up_proj.nibbles = layer.mlp.up_proj.nibbles.clone()
        layer.input_layernorm.weight.data = layer.input_layernorm.weight.data * 2
    for layer in model.model.layers:
        layer.input_layernorm.weight.data = layer.input_layernorm.weight.data * 2
    fuse(model)
    assert torch.equal(fused(TOKENS)[0], model(TOKENS)[0])


@pytest.mark.parametrize(
    ("name", "attribute", "value"), [("input_layernorm", "eps", 0.5), ("mlp.up_proj", "scheme", SCHEMES["int4"])]
)
@torch.inference_mode()
def test_a_change_of_how_a_module_computes_is_seen(name: str, attribute: str, value: object) -> None:
    model, fused = pair()
    fused(TOKENS)
    for each in (model, fused):
        setattr(each.model.layers[1].get_submodule(name), attribute, value)
    fuse(model)
    assert torch.equal(fused(TOKENS)[0], model(TOKENS)[0])


@torch.inference_mode()
def test_a_copy_computes_with_weights_of_its_own() -> None:
    _, fused = pair()
    before, other = fused(TOKENS)[0], copy.deepcopy(fused)
    for layer in fused.model.layers:
        layer.mlp.up_proj.nibbles.zero_()
    assert torch.equal(other(TOKENS)[0], before)


class Wrapped(nn.Module):
    """A layer in another module, as tools for offloading and checkpointing put it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *args: object) -> object:
        return self.layer(*args)


@torch.inference_mode()
def test_a_wrapped_layer_is_called_through_its_wrapper() -> None:
    _, fused = pair()
    alone = fused(TOKENS)[0]
    fused.model.layers[1] = Wrapped(fused.model.layers[1])
    assert torch.equal(fused(TOKENS)[0], alone)


@torch.inference_mode()
def test_a_hook_on_all_modules_hears_of_each() -> None:
    _, fused = pair()
    alone, seen = fused(TOKENS)[0], []
    hook = register_module_forward_hook(lambda module, *_: seen.append(type(module)))
    assert torch.equal(fused(TOKENS)[0], alone)
    hook.remove()
    assert seen.count(PackedLinear) == 7 * PLAIN.n_layers + 1


@torch.inference_mode()
def test_a_packed_layer_of_another_shape_is_refused_as_by_the_model_itself() -> None:
    _, fused = pair()
    fused.model.layers[1].mlp.up_proj = PackedLinear.from_packed(packing.quantize(torch.ones(4096, PLAIN.dim), NF4))
    with pytest.raises((RuntimeError, ValueError)):
        fused(TOKENS)


@pytest.mark.parametrize("kv", ["none", "int8"])
@torch.inference_mode()
def test_heads_wider_than_the_kernels_take_are_left_to_the_model_itself(kv: str) -> None:
    model, fused = exact(replace(PLAIN, head_dim=512, n_heads=2, n_kv_heads=1), kv)
    assert error(fused(TOKENS)[0], model(TOKENS)[0]) < (1e-3 if kv == "none" else 6e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@torch.inference_mode()
def test_a_fused_model_that_changes_its_dtype_computes_with_the_same_weights(dtype: torch.dtype) -> None:
    _, fused = pair()
    before = fused(TOKENS)[0]
    assert error(fused.to(dtype)(TOKENS)[0], before) < 2e-2
    assert torch.equal(fused.to(torch.bfloat16)(TOKENS)[0], before)


@torch.inference_mode()
def test_padded_rows_are_left_to_the_model_itself() -> None:
    model, fused = exact()
    tokens, padding = TOKENS.view(2, 20), torch.tensor([4, 0])
    ours, theirs = (each(tokens, padding=padding)[0] for each in (fused, model))
    assert error(ours[0, 4:], theirs[0, 4:]) < 1e-3


@torch.inference_mode()
def test_unpadded_rows_of_one_cache_compute_as_the_model_itself() -> None:
    model, fused = exact()
    assert error(fused(TOKENS.view(2, 20))[0], model(TOKENS.view(2, 20))[0]) < 1e-3


def test_other_dtypes_are_not_fused() -> None:
    assert not fuse(Mistral(PLAIN, dtype=torch.float64))
    assert not fuse(Mistral(PLAIN, dtype=torch.float16))


@torch.inference_mode()
def test_a_fused_model_that_becomes_float64_computes_in_float64() -> None:
    model = Mistral(PLAIN, torch.Generator().manual_seed(1), dtype=torch.float32).eval()
    fused = copy.deepcopy(model)
    assert fuse(fused)
    assert torch.equal(fused.double()(TOKENS)[0], model.double()(TOKENS)[0])
