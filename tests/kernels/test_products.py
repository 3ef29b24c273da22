"""Rows times packed weights: near the true product, and the same to the bit however they are computed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from weights_and_rows import SHAPES, VARIANTS, rows, weight

from mistral_cli.kernels import packing
from mistral_cli.kernels.products import multiply
from mistral_cli.kernels.schemes import NF4, SCHEMES, Scheme

if TYPE_CHECKING:
    from mistral_cli.kernels.packing import Packed

DTYPES = [torch.float32, torch.bfloat16]


def product(x: torch.Tensor, packed: Packed, variant: str | None = None, *, fine: bool = False) -> torch.Tensor:
    return multiply(x, packed, fine=fine, variant=variant)


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.view(torch.int32 if tensor.dtype == torch.float32 else torch.int16)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (40, 14336)])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
@pytest.mark.parametrize("fine", [False, True])
def test_every_variant_gives_the_portable_ones_bits(
    fine: bool, scheme: Scheme, variant: str, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    packed = packing.quantize(weight(*shape), scheme)
    for count in (1, 3, 9, 31, 70):
        x = rows(count, shape[1], dtype)
        assert torch.equal(
            bits(product(x, packed, variant, fine=fine)), bits(product(x, packed, "portable", fine=fine))
        )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("fine", [False, True])
def test_one_to_130_rows_are_each_computed_as_if_alone(fine: bool, variant: str) -> None:
    packed = packing.quantize(weight(50, 192), NF4)
    x = rows(130, 192)
    alone = torch.cat([product(x[row : row + 1], packed, variant, fine=fine) for row in range(130)])
    for count in range(1, 131):
        assert torch.equal(bits(product(x[:count], packed, variant, fine=fine)), bits(alone[:count]))


@pytest.mark.parametrize("count", [1, 8, 100, 500])
def test_the_number_of_threads_changes_no_bit(count: int) -> None:
    packed = packing.quantize(weight(1000, 1024), NF4)
    x = rows(count, 1024)
    threads = torch.get_num_threads()
    try:
        results = []
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            results.append(bits(product(x, packed)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
@pytest.mark.parametrize("shape", [(4096, 1024), (512, 14336)])
def test_the_result_is_near_float_arithmetic_on_the_same_weights(shape: tuple[int, int], scheme: Scheme) -> None:
    packed = packing.quantize(weight(*shape), scheme)
    x = torch.randn(5, shape[1], generator=torch.Generator().manual_seed(2))
    exact = x.double() @ packing.dequantize(packed).double().T
    for fine, most in ((False, 1e-2), (True, 5e-4)):
        error = (product(x, packed, fine=fine).double() - exact).norm() / exact.norm()
        assert error < most


def test_the_integer_arithmetic_is_the_documented_one() -> None:
    packed = packing.quantize(weight(32, 256), NF4)
    x = rows(4, 256)
    groups = x.view(4, 4, 64)
    largest = groups.abs().amax(-1, keepdim=True)
    codes = (groups * (127 / largest)).round()
    levels = torch.tensor(NF4.integers)[_codes(packed)].view(32, 4, 64)
    sums = torch.einsum("mgk,ngk->mng", codes.double(), levels.double())
    scales = packing.scales_of(packed).view(32, 4).double()
    wanted = (sums * scales * largest.double().view(4, 1, 4) / (127 * NF4.unit)).sum(-1)
    torch.testing.assert_close(product(x, packed).double(), wanted, rtol=1e-5, atol=1e-6)


def _codes(packed: Packed) -> torch.Tensor:
    pairs = packing.unpack(packed)
    return torch.stack((pairs >> 4, pairs & 15), -1).flatten(1).long()


def test_no_rows_give_no_rows() -> None:
    packed = packing.quantize(weight(32, 64), NF4)
    assert product(torch.empty(0, 64), packed).shape == (0, 32)
    assert product(torch.empty(2, 0, 64), packed).shape == (2, 0, 32)


def test_zeros_give_zeros() -> None:
    packed = packing.quantize(weight(32, 128), NF4)
    assert torch.equal(product(torch.zeros(3, 128), packed), torch.zeros(3, 32))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("count", [1, 40])
def test_nan_and_infinity_make_nan_of_their_row_and_of_no_other(count: int, bad: float, variant: str) -> None:
    packed = packing.quantize(weight(40, 256), NF4)
    x = rows(count, 256)
    clean = product(x, packed, variant)
    x[count // 2, 77] = bad
    spoilt = product(x, packed, variant)
    assert spoilt[count // 2].isnan().all()
    others = torch.arange(count) != count // 2
    assert torch.equal(spoilt[others], clean[others])


@pytest.mark.parametrize("size", [1e-45, 1e-39, 1e-30, 1e30, 3e38])
@pytest.mark.parametrize("variant", VARIANTS)
def test_huge_and_tiny_rows_come_out_as_finite_as_they_are(size: float, variant: str) -> None:
    packed = packing.quantize(weight(40, 256), NF4)
    x = torch.sign(rows(2, 256)) * size
    exact = x.double() @ packing.dequantize(packed).double().T
    got = product(x, packed, variant).double()
    fits = exact.abs() < 3.4e38
    assert got[fits].isfinite().all()
    assert (got - exact)[fits].abs().max() <= 1e-2 * exact[fits].abs().max() + 1e-36
    assert torch.equal(got[~fits].isinf(), torch.ones_like(got[~fits], dtype=torch.bool))


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_nan_weights_come_out_as_nan(scheme: Scheme) -> None:
    spoilt = weight(32, 128)
    spoilt[5, 100] = torch.nan
    result = product(rows(3, 128), packing.quantize(spoilt, scheme))
    assert result[:, 5].isnan().all()
    others = result[:, torch.arange(32) != 5]
    assert others.isnan().all() if scheme.nested else others.isfinite().all()  # the scales' mean is that of all


@pytest.mark.parametrize("shape", [(7, 320), (33, 14336), (50, 4096)])
def test_scales_that_are_quantized_again_count_as_the_numbers_that_they_stand_for(shape: tuple[int, int]) -> None:
    packed = packing.quantize(weight(*shape), NF4)
    plain = packing.pack(packing.unpack(packed), packing.scales_of(packed), NF4, shape)
    assert packed.nested is not None
    assert plain.nested is None
    x = rows(3, shape[1])
    for count in (1, 3):
        got, near = product(x[:count], packed, fine=True), product(x[:count], plain, fine=True)
        assert (got - near).norm() < 2e-3 * near.norm()  # bfloat16 rounds the plain ones


@pytest.mark.parametrize("fine", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_plain_scales_give_the_portable_ones_bits_too(variant: str, fine: bool) -> None:
    codes, scales = packing.encode(weight(50, 192), NF4)
    packed = packing.pack(codes, scales, NF4, (50, 192))
    for count in (1, 9, 70):
        x = rows(count, 192)
        assert torch.equal(
            bits(product(x, packed, variant, fine=fine)), bits(product(x, packed, "portable", fine=fine))
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_dtypes_come_back_as_they_went_in(dtype: torch.dtype) -> None:
    packed = packing.quantize(weight(32, 128), NF4)
    x = torch.randn(3, 128, generator=torch.Generator().manual_seed(3)).to(dtype)
    assert torch.equal(product(x, packed), product(x.float(), packed).to(dtype))


def test_rows_may_lie_apart_in_memory() -> None:
    packed = packing.quantize(weight(32, 128), NF4)
    wide = rows(6, 256)
    for x in (wide[:, 64:192], wide[::2, :128], wide.T[:128, :6].T):
        assert torch.equal(product(x, packed), product(x.contiguous(), packed))


def test_rows_of_another_width_are_refused() -> None:
    packed = packing.quantize(weight(32, 128), NF4)
    with pytest.raises(ValueError, match="does not meet"):
        product(torch.zeros(2, 64), packed)


def test_weights_that_do_not_lie_one_after_the_other_are_read_in_their_order() -> None:
    packed, x = packing.quantize(weight(50, 192), NF4), rows(3, 192)
    apart = replace(
        packed,
        nibbles=torch.stack((packed.nibbles, packed.nibbles), -1)[..., 0],
        scales=packed.scales.transpose(0, 2).contiguous().transpose(0, 2),
    )
    assert not apart.nibbles.is_contiguous()
    assert not apart.scales.is_contiguous()
    assert torch.equal(product(x, apart), product(x, packed))
    assert torch.equal(packing.dequantize(apart), packing.dequantize(packed))
    assert torch.equal(packing.unpack(apart), packing.unpack(packed))
