"""Every way to quantize a layer: what it computes, what it keeps, what it lets through."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from mistral_cli.errors import UsageError
from mistral_cli.weights import bitsandbytes_4bit, bitsandbytes_8bit, bitsandbytes_library, bitsandbytes_tiles
from mistral_cli.weights.methods import METHODS, Method, choose_method, method_reasons

CPU = torch.device("cpu")
SHAPE = (96, 192)
ALLOWED = {"nf4": 0.11, "int4": 0.14, "int8": 0.012}
"""Relative error of quantized normal weights."""
COMPUTED = [method for method in METHODS if "cpu" in method.devices or method.layout == "int8-bitsandbytes-1"]
"""Those whose operators have an implementation for CPUs."""


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got.float() - wanted.float()).norm() / wanted.float().norm())


@pytest.fixture(params=COMPUTED, ids=lambda method: method.layout)
def method(request: pytest.FixtureRequest) -> Method:
    chosen: Method = request.param
    if chosen.layout == "nf4-bitsandbytes-tiles-1" and not bitsandbytes_library.has_tiles():
        return METHODS[0]  # this processor cannot compute it
    return chosen


def test_the_weights_are_near_to_what_they_were(method: Method) -> None:
    layer = method.quantize(drawn(*SHAPE), CPU, torch.bfloat16)
    assert (layer.out_features, layer.in_features) == SHAPE
    assert relative(layer.dequantize(), drawn(*SHAPE)) < ALLOWED[method.scheme]


@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_a_product_is_that_of_the_dequantized_weights(method: Method, rows: int, dtype: torch.dtype) -> None:
    layer, x = method.quantize(drawn(*SHAPE), CPU, dtype), drawn(2, rows, SHAPE[1], seed=1).to(dtype)
    got = layer(x)
    assert (got.dtype, got.shape) == (dtype, (2, rows, SHAPE[0]))
    assert relative(got, functional.linear(x.float(), layer.dequantize())) < 1.2e-2


def test_what_is_taken_apart_is_the_same_put_together(method: Method) -> None:
    layer = method.quantize(drawn(*SHAPE), CPU, torch.bfloat16)
    parts = method.tensors(layer)
    assert sum(part.nbytes for part in parts.values()) == method.nbytes(*SHAPE)
    again = method.restore(parts, SHAPE, torch.bfloat16)
    assert all(part.data_ptr() == parts[name].data_ptr() for name, part in method.tensors(again).items())
    assert torch.equal(again(drawn(3, SHAPE[1])), layer(drawn(3, SHAPE[1])))


def test_a_gradient_passes_even_after_an_evaluation(method: Method) -> None:
    layer = method.quantize(drawn(*SHAPE), CPU, torch.float32).eval()
    x = drawn(4, SHAPE[1], seed=2).float()
    with torch.no_grad():
        layer(x)
    x.requires_grad_()
    layer(x).sum().backward()
    assert x.grad is not None
    assert relative(x.grad, layer.dequantize().sum(0).expand(4, -1)) < 1e-2


def test_a_layer_of_another_width_is_no_match(method: Method) -> None:
    with pytest.raises(ValueError, match="64 inputs where the layer has 192"):
        method.quantize(drawn(*SHAPE), CPU, torch.bfloat16)(drawn(1, 64))


def test_rows_of_zeros_stay_zeros(method: Method) -> None:
    layer = method.quantize(torch.zeros(SHAPE).bfloat16(), CPU, torch.bfloat16)
    assert not layer(drawn(2, SHAPE[1])).any()


# -- bitsandbytes' own arithmetic --------------------------------------------------------------------------------------


def test_nf4_is_what_bitsandbytes_makes_double_quantization_and_all() -> None:
    weight, functions = drawn(64, 512), bitsandbytes_library.functional()
    codes, state = functions.quantize_4bit(weight, blocksize=64, compress_statistics=True, quant_type="nf4")
    layer = bitsandbytes_4bit.quantize(weight, CPU, torch.bfloat16)
    assert torch.equal(layer.codes, codes)
    assert torch.equal(layer.absmax, state.absmax)
    assert torch.equal(layer.dequantize(torch.bfloat16), functions.dequantize_4bit(codes, state))


def test_a_weight_quantized_piece_by_piece_is_quantized_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bitsandbytes_4bit.quantize(drawn(64, 512), CPU, torch.bfloat16)
    monkeypatch.setattr(bitsandbytes_4bit, "_PIECE", 4096)
    pieces = bitsandbytes_4bit.quantize(drawn(64, 512), CPU, torch.bfloat16)
    assert all(torch.equal(one, pieces.get_buffer(name)) for name, one in whole.named_buffers())


def test_tiles_are_what_bitsandbytes_packs_and_go_back() -> None:
    codes, state = bitsandbytes_library.functional().quantize_4bit(drawn(96, 128), blocksize=64, quant_type="nf4")
    tiles = bitsandbytes_tiles.to_tiles(codes, (96, 128))
    assert torch.equal(bitsandbytes_tiles.from_tiles(tiles), codes.view(96, 64))
    packed, _ = bitsandbytes_library.functional()._convert_weight_packed_for_cpu(codes.clone(), state)
    assert torch.equal(tiles, packed)


@pytest.mark.parametrize("rows", [1, 5, 64])
def test_the_tiled_product_is_that_of_the_operator(rows: int) -> None:
    layer = bitsandbytes_tiles.quantize(drawn(*SHAPE), CPU, torch.bfloat16)
    product = bitsandbytes_library.tiled_product()
    assert (product is not None) == bitsandbytes_library.has_tiles()
    if product is not None:
        x = drawn(rows, SHAPE[1], seed=4)
        assert torch.equal(layer(x), layer._multiply_by_operator(x))


def test_many_rows_meet_the_weights_as_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = bitsandbytes_tiles.quantize(drawn(*SHAPE), CPU, torch.bfloat16), drawn(2, 200, SHAPE[1], seed=4)
    if bitsandbytes_library.has_tiles():
        assert torch.equal(layer(x), functional.linear(x, layer.dequantize(torch.bfloat16)))
        assert relative(layer(x), layer._multiply_by_operator(x)) < 5e-3
        monkeypatch.setattr(bitsandbytes_tiles, "_PIECE", 64)  # the last piece is smaller
        assert relative(layer(x), layer._multiply_by_operator(x)) < 5e-3


def test_many_rows_of_another_release_are_left_to_its_product(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = bitsandbytes_tiles.quantize(drawn(*SHAPE), CPU, torch.bfloat16), drawn(400, SHAPE[1], seed=4)
    if bitsandbytes_library.has_tiles():
        monkeypatch.setattr(bitsandbytes_library, "dequantizer", lambda: None)
        assert torch.equal(layer(x), layer._multiply_by_operator(x))


def test_tiles_are_computed_without_importing_bitsandbytes() -> None:
    program = (
        "import sys, torch; from mistral_cli.weights import bitsandbytes_library, bitsandbytes_tiles as four\n"
        "if bitsandbytes_library.has_tiles():\n"
        "    parts = {'tiles': torch.zeros(32, 32).byte(), 'scales': torch.zeros(1, 32).bfloat16()}\n"
        "    for rows in (1, 400):\n"
        "        four.TiledLinear4bit((32, 64), parts)(torch.ones(rows, 64).bfloat16())\n"
        "print('bitsandbytes' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False"]


def test_a_column_of_great_numbers_is_multiplied_in_sixteen_bits() -> None:
    x = drawn(8, 192, seed=3)
    x[:, 5] *= 60
    exact = functional.linear(x.float(), drawn(*SHAPE).float())
    layer = bitsandbytes_8bit.quantize(drawn(*SHAPE), CPU, torch.bfloat16)
    assert relative(layer(x), exact) < 0.015
    layer.threshold = 1e9
    assert relative(layer(x), exact) > 0.03


# -- which is taken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["nf4", "int8", "int4"])
def test_without_our_kernel_each_scheme_is_computed_by_others(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistral_cli.kernels.library._load", lambda: "it was not built")
    method = choose_method(scheme, CPU)
    assert method is not None
    assert method.by in ("bitsandbytes", "torch")
    assert all(reason for other, reason in method_reasons(scheme, CPU) if other.by == "kernel")


@pytest.mark.parametrize("scheme", ["nf4", "int8"])
def test_a_gpu_is_served_by_bitsandbytes(scheme: str) -> None:
    method = choose_method(scheme, torch.device("cuda:1"))
    assert method is not None
    assert method.by == "bitsandbytes"


def test_where_nothing_works_every_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistral_cli.kernels.library._load", lambda: "it was not built")
    monkeypatch.setattr(bitsandbytes_library, "_folder", lambda: None)
    with pytest.raises(UsageError, match="it was not built; bitsandbytes is not installed"):
        choose_method("nf4", CPU)


def test_every_layout_has_a_name_of_its_own() -> None:
    assert len({method.layout for method in METHODS}) == len(METHODS)


@pytest.mark.gpu
@pytest.mark.parametrize("method", [method for method in METHODS if "cuda" in method.devices], ids=lambda m: m.layout)
def test_a_gpu_computes_with_the_dequantized_weights(method: Method) -> None:
    shape, device = (256, 512), torch.device("cuda")
    assert method.supports(*shape)
    layer = method.quantize(drawn(*shape), device, torch.bfloat16)
    for rows in (1, 3, 40):
        x = drawn(rows, shape[1], seed=1).to(device)
        assert relative(layer(x), functional.linear(x.float(), layer.dequantize())) < 1.2e-2
    assert relative(layer.dequantize().cpu(), drawn(*shape)) < ALLOWED[method.scheme]
    assert sum(part.nbytes for part in method.tensors(layer).values()) == method.nbytes(*shape)
