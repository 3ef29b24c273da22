"""Rotary tables, norm, router and masks, each against its formula."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from mistral_cli.model.attention import attend, mask_for
from mistral_cli.model.layers import RMSNorm
from mistral_cli.model.moe import SparseMoe, route
from mistral_cli.model.rope import RotaryTable, rotate
from oracle import PLAIN, gap

CPU = torch.device("cpu")


def test_a_pair_is_turned_by_its_position_over_its_wavelength() -> None:
    cos, sin = RotaryTable(4, 100.0).between(3, 4, CPU)
    turned = rotate(torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]]]), cos, sin).flatten()
    for pair, angle in ((0, 3.0), (1, 3.0 / 10)):
        left, right = (1.0, 3.0) if pair == 0 else (2.0, 4.0)
        assert math.isclose(turned[pair], left * math.cos(angle) - right * math.sin(angle), rel_tol=1e-5)
        assert math.isclose(turned[pair + 2], right * math.cos(angle) + left * math.sin(angle), rel_tol=1e-5)


def test_scores_depend_on_the_distance_alone() -> None:
    table = RotaryTable(16, 10000.0)
    query, key = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def score(at: int, other: int) -> float:
        return (
            (rotate(query, *table.between(at, at + 1, CPU)) * rotate(key, *table.between(other, other + 1, CPU)))
            .sum()
            .item()
        )

    assert math.isclose(score(5, 2), score(905, 902), rel_tol=1e-4)
    assert not math.isclose(score(5, 2), score(5, 3), rel_tol=1e-2)


def test_rows_of_a_table_do_not_change_when_it_grows() -> None:
    table = RotaryTable(16, 10000.0)
    before = [rows.clone() for rows in table.between(0, 1000, CPU)]
    table.between(4999, 5000, CPU)
    after = table.between(0, 1000, CPU)
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    cos, sin = table.at(torch.tensor([[4, 999]]), 1000)
    assert torch.equal(cos[0, 0], before[0][[4, 999]])
    assert torch.equal(sin[0, 0], before[1][[4, 999]])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_turning_keeps_the_dtype_and_is_precise_inside(dtype: torch.dtype) -> None:
    states = torch.randn(1, 2, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    angles = RotaryTable(8, 10000.0).between(1000, 1005, CPU)
    turned = rotate(states.to(dtype), *angles)
    assert turned.dtype == dtype
    expected = rotate(states.to(dtype).double(), *angles)
    assert gap(turned.double(), expected) <= expected.abs().max() * torch.finfo(dtype).eps


def test_a_norm_divides_by_the_root_mean_square() -> None:
    norm = RMSNorm(2, 1e-5)
    norm.weight.data = torch.tensor([1.0, 10.0])
    assert gap(norm(torch.tensor([3.0, 4.0])), torch.tensor([3.0, 40.0]) / math.sqrt(12.5)) < 1e-5


def test_a_norm_of_large_bfloat16_numbers_does_not_overflow_or_round_the_sum() -> None:
    hidden = torch.full((4096,), 300.0, dtype=torch.bfloat16)
    assert torch.equal(RMSNorm(4096, 1e-5).to(torch.bfloat16)(hidden), torch.ones(4096, dtype=torch.bfloat16))
    assert RMSNorm(4096, 1e-5).half()(hidden.half()).isfinite().all()  # 300 squared is beyond float16


def test_the_router_shares_by_a_softmax_over_the_chosen() -> None:
    shares, chosen = route(torch.tensor([[1.0, 3.0, 2.0, -1.0]]), 2)
    assert chosen.tolist() == [[1, 2]]
    assert gap(shares, torch.tensor([[3.0, 2.0]]).softmax(-1)) < 1e-6


def test_only_chosen_experts_compute() -> None:
    moe = SparseMoe(8, 16, num_experts=4, per_token=1)
    moe.gate.weight.data = torch.zeros(4, 8)
    moe.gate.weight.data[2] = 1.0
    for index in (0, 1, 3):
        moe.experts[index].w2.weight.data.fill_(torch.nan)
    hidden = torch.rand(2, 3, 8, generator=torch.Generator().manual_seed(0))
    assert gap(moe(hidden), moe.experts[2](hidden)) < 1e-6


@pytest.mark.parametrize("queries", [1, 2], ids=["decode", "prefill"])
def test_scores_are_not_rounded_to_bfloat16(queries: int) -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 8, queries, 64, generator=generator).mul(4).bfloat16()  # a few keys outweigh all others
    keys, values = torch.randn(2, 2, 2, 300, 64, generator=generator).bfloat16()
    mask = torch.zeros(queries, 300, dtype=torch.bfloat16)
    exact = attend(query.double(), keys.double(), values.double(), mask.double())
    assert (attend(query, keys, values, mask) - exact).norm() / exact.norm() < torch.finfo(torch.bfloat16).eps / 2


def seen(mask: torch.Tensor | None) -> list[str]:
    assert mask is not None
    return ["".join("x" if value == 0 else "." for value in row) for row in mask]


def test_masks_are_causal_and_as_wide_as_the_window() -> None:
    like = torch.empty(0)
    assert seen(mask_for(0, 4, 2, None, like)) == ["x...", "xx..", ".xx.", "..xx"]
    assert seen(mask_for(2, 5, None, None, like)) == ["xxx..", "xxxx.", "xxxxx"]
    assert seen(mask_for(5, 8, 3, None, like)) == ["xxx..", ".xxx.", "..xxx"]  # keys 3 to 7
    assert seen(mask_for(0, 3, 1, None, like)) == ["x..", ".x.", "..x"]


def test_no_mask_is_built_for_one_query_or_for_plain_causality() -> None:
    like = torch.empty(0)
    assert mask_for(100, 101, 7, None, like) is None
    assert mask_for(0, 50, None, None, like) is None
    assert mask_for(0, 50, 50, None, like) is None
    assert mask_for(0, 50, 49, None, like) is not None


def test_padding_is_hidden_and_sees_itself() -> None:
    mask = mask_for(0, 4, None, torch.tensor([2, 0]), torch.empty(0))
    assert mask is not None
    assert seen(mask[0, 0]) == ["x...", ".x..", "..x.", "..xx"]
    assert seen(mask[1, 0]) == ["x...", "xx..", "xxx.", "xxxx"]


def test_a_mask_has_the_dtype_it_is_added_to() -> None:
    mask = mask_for(0, 4, 2, None, torch.empty(0, dtype=torch.bfloat16))
    assert mask is not None
    assert mask.dtype == torch.bfloat16


def test_shapes_differ_where_heads_are_not_the_width() -> None:
    assert replace(PLAIN, head_dim=24).tensor_shapes()["model.layers.0.self_attn.q_proj.weight"] == (96, 64)
