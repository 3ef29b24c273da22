"""The operator and the layer: what torch.compile, autograd and the rest of a model see of the products."""

from __future__ import annotations

import pytest
import torch
from weights_and_rows import rows, weight

from mistral_cli.errors import CheckpointError
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.packing import quantize
from mistral_cli.kernels.products import multiply_joined, packed_gradient, packed_linear
from mistral_cli.kernels.schemes import NF4


def layer_of(outputs: int, seed: int = 0) -> PackedLinear:
    return PackedLinear.from_packed(quantize(weight(outputs, 128, seed=seed), NF4))


@pytest.fixture
def layer() -> PackedLinear:
    return layer_of(48)


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("shape", [(128,), (5, 128), (2, 3, 128)])
def test_torch_finds_nothing_wrong_with_the_operator(
    layer: PackedLinear, shape: tuple[int, ...], gradient: bool
) -> None:
    x = rows(6, 128).flatten()[: torch.Size(shape).numel()].view(shape).clone().requires_grad_(gradient)
    torch.library.opcheck(packed_linear, (x, layer.packed.tensors, 48, "nf4", False))


def test_torch_finds_nothing_wrong_with_its_gradient(layer: PackedLinear) -> None:
    torch.library.opcheck(packed_gradient, (rows(5, 64)[:, :48], layer.packed.tensors, 48, "nf4"))


def test_the_operator_traces_without_a_break(layer: PackedLinear) -> None:
    x = rows(3, 128)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    assert torch.equal(compiled(x), layer(x))


def test_gradients_are_those_of_the_dequantized_weights(layer: PackedLinear) -> None:
    x = rows(3, 128).requires_grad_()
    layer(x).square().sum().backward()
    wanted = 2 * layer(x).detach() @ layer.dequantize()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, wanted)


def test_a_layer_keeps_the_shape_and_dtype_of_its_rows(layer: PackedLinear) -> None:
    assert layer(torch.zeros(2, 3, 128, dtype=torch.bfloat16)).shape == (2, 3, 48)
    assert layer(torch.zeros(128, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_a_layer_that_is_moved_to_another_dtype_keeps_its_scales(layer: PackedLinear, dtype: torch.dtype) -> None:
    x = rows(2, 128)
    before = layer(x)
    assert torch.equal(layer.to(dtype)(x), before)
    assert [part.dtype for part in layer.packed.tensors] == [torch.uint8, torch.uint8, torch.float32]


def test_a_layers_weights_are_in_its_state(layer: PackedLinear) -> None:
    other = PackedLinear(128, 48)
    other.load_state_dict(layer.state_dict())
    x = rows(2, 128)
    assert torch.equal(other(x), layer(x))


def test_rows_of_another_width_are_refused(layer: PackedLinear) -> None:
    with pytest.raises(ValueError, match="64 inputs where the layer has 128"):
        layer(torch.zeros(1, 64))


def test_a_layer_of_an_odd_width_is_refused() -> None:
    with pytest.raises(CheckpointError, match="cannot be packed"):
        PackedLinear(100, 32)


@pytest.mark.parametrize("count", [1, 3, 70])
def test_one_call_of_several_layers_gives_what_each_gives_alone(count: int) -> None:
    layers = [layer_of(outputs, seed=outputs) for outputs in (64, 16, 20)]
    x = rows(count, 128)
    for together, layer in zip(multiply_joined(x, layers), layers, strict=True):
        assert torch.equal(together, layer(x))
