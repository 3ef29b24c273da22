"""Norm, gate and rotary turn against their formulas, and each row alone against the row among others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mistral_cli.kernels import elementwise
from mistral_cli.model.rope import RotaryTable, rotate


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("width", [64, 4096, 101])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_norm_is_its_formula(width: int, dtype: torch.dtype) -> None:
    x, weight = draw(3, width).to(dtype), draw(width, seed=1).to(dtype)
    exact = x.double() * torch.rsqrt(x.double().square().mean(-1, keepdim=True) + 1e-5) * weight.double()
    assert torch.allclose(elementwise.norm(x, weight, 1e-5).double(), exact, rtol=1e-6, atol=1e-7)


def test_a_norm_of_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    x, weight = draw(300, 4096), draw(4096, seed=1)
    together = elementwise.norm(x, weight, 1e-5)
    assert all(torch.equal(together[row], elementwise.norm(x[row], weight, 1e-5)) for row in (0, 7, 299))


def test_a_norm_of_nan_is_nan() -> None:
    x = draw(2, 64)
    x[1, 5] = torch.nan
    assert elementwise.norm(x, torch.ones(64), 1e-5).isnan().any(-1).tolist() == [False, True]


def test_a_gate_is_its_formula_wherever_it_opens() -> None:
    gates, branch = torch.linspace(-80, 80, 40_001), draw(40_001)
    exact = functional.silu(gates.double()) * branch.double()
    assert torch.allclose(elementwise.gate_(gates.clone(), branch).double(), exact, rtol=1e-6, atol=1e-30)


def test_a_gate_of_many_numbers_has_the_bits_of_few() -> None:
    gates, branch = draw(5, 14336), draw(5, 14336, seed=1)
    together = elementwise.gate_(gates.clone(), branch)
    assert torch.equal(together[3], elementwise.gate_(gates[3].clone(), branch[3]))


def test_a_gate_of_nan_is_nan() -> None:
    assert elementwise.gate_(torch.tensor([torch.nan, 1.0]), torch.ones(2)).isnan().tolist() == [True, False]


@pytest.mark.parametrize("kept", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_queries_and_keys_are_turned_and_written_where_they_belong(dtype: torch.dtype, kept: torch.dtype) -> None:
    query, key, value = (draw(5, heads, 24, seed=heads).transpose(0, 1).to(dtype) for heads in (6, 2, 3))
    value = value[:2]
    cos, sin = RotaryTable(24, 1e4).between(7, 12, torch.device("cpu"))
    keys, values = torch.zeros(2, 2, 20, 24, dtype=kept)
    turned = elementwise.turn_and_write((query, key, value), (cos, sin), (keys, values), 4)
    wanted = [rotate(states.float(), cos, sin) for states in (query, key)]
    assert torch.allclose(turned, wanted[0], atol=1e-6)
    assert torch.allclose(keys[:, 4:9].float(), wanted[1], atol=1e-6, rtol=2**-8 if kept == torch.bfloat16 else 1e-6)
    assert torch.equal(values[:, 4:9], value.to(kept))
    assert not keys[:, :4].any()
    assert not values[:, 9:].any()
