"""The operator and the layer: what torch.compile, autograd and the rest of a model see of the products."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kernels.shapes import rows, weight
from mistral_cli.errors import CheckpointError
from mistral_cli.kernels.linear import PackedLinear, join, layer_like
from mistral_cli.kernels.products import packed_gradient, packed_linear


@pytest.fixture
def layer() -> PackedLinear:
    return PackedLinear.from_weight(weight(48, 128))


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("shape", [(128,), (5, 128), (2, 3, 128)])
def test_torch_finds_nothing_wrong_with_the_operator(
    layer: PackedLinear, shape: tuple[int, ...], gradient: bool
) -> None:
    x = rows(6, 128).flatten()[: torch.Size(shape).numel()].view(shape).clone().requires_grad_(gradient)
    torch.library.opcheck(packed_linear, (x, layer.nibbles, layer.scales, 48, "nf4"))


def test_torch_finds_nothing_wrong_with_its_gradient(layer: PackedLinear) -> None:
    torch.library.opcheck(packed_gradient, (rows(5, 64)[:, :48], layer.nibbles, layer.scales, 48, "nf4"))


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


def test_joined_layers_compute_what_they_computed_apart() -> None:
    layers = [PackedLinear.from_weight(weight(outputs, 128, seed=outputs)) for outputs in (64, 16, 20)]
    x = rows(9, 128)
    apart = [layer(x) for layer in layers]
    joined = join(layers)
    assert torch.equal(joined(x), torch.cat(apart, -1))
    for layer, alone in zip(layers, apart, strict=True):
        assert torch.equal(layer(x), alone)


def test_joined_layers_share_one_buffer() -> None:
    layers = [PackedLinear.from_weight(weight(64, 128)) for _ in range(2)]
    joined = join(layers)
    assert {layer.nibbles.untyped_storage().data_ptr() for layer in [*layers, joined]} == {
        joined.nibbles.untyped_storage().data_ptr()
    }


def test_layers_that_read_different_widths_are_not_joined() -> None:
    with pytest.raises(ValueError, match="the same inputs"):
        join([PackedLinear(128, 16), PackedLinear(64, 16)])


def test_layers_that_end_within_a_block_are_not_joined() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        join([PackedLinear(64, 20), PackedLinear(64, 16)])


@pytest.mark.parametrize(
    ("linear", "fits"), [((128, 32, False), True), ((100, 32, False), False), ((128, 32, True), False)]
)
def test_only_layers_that_can_be_packed_are_replaced(linear: tuple[int, int, bool], fits: bool) -> None:
    inputs, outputs, bias = linear
    assert (layer_like(nn.Linear(inputs, outputs, bias=bias)) is not None) is fits
