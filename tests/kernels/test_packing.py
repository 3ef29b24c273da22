"""Packing: bitsandbytes' own codes and scales, and nothing lost on the way there and back."""

from __future__ import annotations

import logging

import pytest
import torch
from weights_and_rows import SHAPES, VARIANTS, rows, weight

from mistral_cli.errors import CheckpointError
from mistral_cli.kernels import packing
from mistral_cli.kernels.scales import from_blocks, nest, numbers, scale_levels
from mistral_cli.kernels.schemes import INT4, NF4, SCHEMES, Scheme

logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)  # speaks of a package it does without
functional = pytest.importorskip("bitsandbytes.functional")


def quantize_4bit(tensor: torch.Tensor, **options: object) -> tuple[torch.Tensor, object]:
    return functional.quantize_4bit(tensor, blocksize=64, quant_type="nf4", **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_codes_are_those_of_bitsandbytes(shape: tuple[int, int], variant: str, dtype: torch.dtype) -> None:
    tensor = weight(*shape, dtype)
    codes, state = quantize_4bit(tensor)
    packed = packing.quantize(tensor, NF4, variant=variant)
    assert torch.equal(packing.unpack(packed).flatten(), codes.flatten())
    again, scales = packing.encode(tensor, NF4)
    assert torch.equal(again.flatten(), codes.flatten())
    assert torch.equal(scales, state.absmax)


@pytest.mark.parametrize("shape", SHAPES)
def test_scales_are_quantized_again_as_bitsandbytes_does(shape: tuple[int, int]) -> None:
    tensor = weight(*shape)
    _, state = quantize_4bit(tensor, compress_statistics=True)
    packed = packing.quantize(tensor, NF4)
    assert packed.nested is not None
    codes = from_blocks(packed.scales, shape[0])
    assert torch.equal(packed.nested, torch.cat((state.offset.view(1), state.state2.absmax)))
    apart = (codes.int() - state.absmax.int()).abs()  # bitsandbytes does not always find the nearest level
    assert apart.max() <= 1
    assert (apart == 0).float().mean() > 0.98


def test_the_levels_of_scales_are_those_of_bitsandbytes() -> None:
    assert torch.equal(scale_levels(), functional.create_dynamic_map())


def test_every_scale_gets_the_level_that_is_nearest() -> None:
    scales = weight(1, 20000, torch.float32).flatten().abs()
    codes, nested = nest(scales)
    parts = (scales - nested[0]) / nested[1:].repeat_interleave(256)[:20000]
    nearest = (parts[:, None] - scale_levels()).abs().amin(1)
    assert torch.equal((parts - scale_levels()[codes.long()]).abs(), nearest)


def test_equal_scales_are_kept_as_they_are() -> None:
    codes, nested = nest(torch.full((300,), 0.5))
    assert torch.equal(numbers(codes, nested), torch.full((300,), 0.5))


@pytest.mark.parametrize("variant", VARIANTS)
def test_codes_agree_between_the_levels_and_at_odd_sizes(variant: str) -> None:
    tensor = rows(64, 512).contiguous()
    tensor[0] = 0
    tensor[1, ::7] = 0
    tensor[2, :64] = 1e-41
    tensor[3, :64] = torch.linspace(-1, 1, 64) * 3e38
    halves = torch.tensor([*NF4.midpoints, *NF4.levels])
    tensor[4, :31], tensor[4, 31:64] = halves, 1.0
    codes, _ = quantize_4bit(tensor)
    assert torch.equal(packing.unpack(packing.quantize(tensor, NF4, variant=variant)).flatten(), codes.flatten())


@pytest.mark.parametrize("shape", [(200, 192), (33, 14336), (64, 4096)])
@pytest.mark.parametrize("double", [False, True])
def test_what_bitsandbytes_quantized_is_taken_over_as_it_is(double: bool, shape: tuple[int, int]) -> None:
    codes, state = quantize_4bit(weight(*shape), compress_statistics=double)
    nested = torch.cat((state.offset.view(1), state.state2.absmax)) if double else None
    packed = packing.pack(codes, state.absmax, NF4, shape, nested=nested)
    assert torch.equal(packing.unpack(packed).flatten(), codes.flatten())
    exact = functional.dequantize_4bit(codes, state).float()
    torch.testing.assert_close(packing.dequantize(packed), exact, rtol=2**-7, atol=0)


def test_double_quantized_scales_are_restored_as_bitsandbytes_does() -> None:
    codes, state = quantize_4bit(weight(200, 320, torch.float32), compress_statistics=True)
    nested = state.state2
    scales = packing.restore_scales(state.absmax, nested.code, nested.absmax, state.offset)
    assert torch.equal(scales, functional.dequantize_blockwise(state.absmax, nested) + state.offset)
    assert packing.pack(codes, scales, NF4, (200, 320)).nibbles.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_numbers_come_back_as_bitsandbytes_gives_them(dtype: torch.dtype) -> None:
    tensor = weight(200, 192, torch.bfloat16)  # whose scales bfloat16 holds exactly
    codes, state = quantize_4bit(tensor)
    state.dtype = dtype
    wanted = functional.dequantize_4bit(codes, state)
    got = packing.dequantize(packing.pack(codes, state.absmax, NF4, (200, 192)), dtype)
    assert got.dtype == dtype
    torch.testing.assert_close(got, wanted, rtol=2**-7 if dtype == torch.bfloat16 else 0, atol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_int4_is_the_nearest_of_sixteen_even_steps(shape: tuple[int, int]) -> None:
    tensor = weight(*shape)
    packed = packing.quantize(tensor, INT4)
    groups, back = tensor.float().view(-1, 64), packing.dequantize(packed).view(-1, 64)
    scales = packed.scales.transpose(1, 2).reshape(-1, shape[1] // 64)[: shape[0]].reshape(-1, 1).float()
    assert torch.equal(scales.abs(), groups.abs().amax(1, keepdim=True))
    nearest = (groups[..., None] - scales[..., None] * torch.tensor(INT4.levels)).abs().amin(-1)
    assert torch.equal((groups - back).abs(), nearest)
    assert (groups == back).any(1).all()  # the greatest magnitude is kept as it is


def test_rows_that_fill_up_the_last_block_are_zero() -> None:
    packed = packing.quantize(weight(18, 64), NF4)
    assert packed.nibbles.shape == (2, 1, 512)
    assert not packed.scales[1, :, 2:].any()


@pytest.mark.parametrize("shape", [*SHAPES, (33, 14336)])
@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_a_matrix_takes_the_bytes_that_its_scheme_says(scheme: Scheme, shape: tuple[int, int]) -> None:
    packed = packing.quantize(weight(*shape), scheme)
    assert sum(part.nbytes for part in packed.tensors) == scheme.packed_bytes(*shape)
    codes, absmax = packing.encode(weight(*shape), scheme)
    plain = packing.pack(codes, absmax, scheme, shape)
    assert sum(part.nbytes for part in plain.tensors) == scheme.packed_bytes(*shape, nested=False)


def test_a_width_that_is_no_multiple_of_64_is_refused() -> None:
    with pytest.raises(CheckpointError, match="100 inputs are no multiple of 64"):
        packing.quantize(weight(32, 100), NF4)


def test_codes_of_another_size_are_refused() -> None:
    with pytest.raises(CheckpointError, match="32 × 128 has 5 bytes of codes"):
        packing.pack(torch.zeros(5, dtype=torch.uint8), torch.zeros(64), NF4, (32, 128))
