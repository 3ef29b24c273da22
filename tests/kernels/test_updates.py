"""Low-rank updates: near the true sum, and the same to the bit however they are computed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from weights_and_rows import VARIANTS

from mistral_cli.kernels import updates
from mistral_cli.kernels.updates import Update

INPUTS = 192
SIZES = [(1, 16), (3, 40), (8, 320), (17, 7), (32, 531), (64, 1024)]
"""(rank, outputs), some of them no multiple of what a vector holds."""


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def update(rank: int, outputs: int, factor: float = 0.5, seed: int = 0) -> Update:
    up = numbers(rank, outputs, seed=seed + 1).T
    return Update(down=numbers(rank, INPUTS, seed=seed), up=up, factor=factor)


def exact(base: Tensor, x: Tensor, *added: Update) -> Tensor:
    for each in added:
        base = base.double() + each.factor * (x.double() @ each.down.double().T @ each.up.double().T)
    return base


@pytest.mark.parametrize("rows", [1, 2, 5, 13, 200])
@pytest.mark.parametrize(("rank", "outputs"), SIZES)
def test_the_update_is_added_to_what_is_there(rank: int, outputs: int, rows: int) -> None:
    own, x, base = update(rank, outputs), numbers(rows, INPUTS, seed=5), numbers(rows, outputs, seed=6)
    result = base.clone()
    updates.add_([result], x, [[own]])
    wanted = exact(base, x, own)
    assert (result - wanted).norm() < 1e-6 * wanted.norm()


def test_several_products_get_several_updates_each_its_own() -> None:
    x = numbers(2, 3, INPUTS, seed=5)
    sizes, bases = (40, 7, 64), [numbers(2, 3, outputs, seed=outputs) for outputs in (40, 7, 64)]
    own = [[update(4, sizes[0]), update(9, sizes[0], -2.0, seed=8)], [], [update(1, sizes[2], seed=3)]]
    results = [base.clone() for base in bases]
    updates.add_(results, x, own)
    for base, result, added in zip(bases, results, own, strict=True):
        wanted = exact(base, x, *added)
        assert (result - wanted).norm() < 1e-6 * wanted.norm()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("rank", "outputs"), SIZES)
def test_every_variant_gives_the_same_bits(variant: str, rank: int, outputs: int) -> None:
    own, x, base = update(rank, outputs), numbers(9, INPUTS, seed=5), numbers(9, outputs, seed=6)
    best, other = base.clone(), base.clone()
    updates.add_([best], x, [[own]])
    updates.add_([other], x, [[own]], variant=variant)
    assert torch.equal(best, other)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_row_among_others_has_the_bits_that_it_has_alone(variant: str) -> None:
    own, x, base = update(32, 1031), numbers(103, INPUTS, seed=5), numbers(103, 1031, seed=6)
    together = base.clone()
    updates.add_([together], x, [[own]], variant=variant)
    for row in (0, 1, 6, 95, 96, 102):
        alone = base[row : row + 1].clone()
        updates.add_([alone], x[row : row + 1], [[own]], variant=variant)
        assert torch.equal(alone[0], together[row])


def test_the_number_of_threads_changes_no_bit() -> None:
    own, x, base = update(64, 2048), numbers(7, INPUTS, seed=5), numbers(7, 2048, seed=6)
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(base.clone())
            updates.add_([results[-1]], x, [[own]])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_no_rows_are_nothing_to_do() -> None:
    updates.add_([torch.zeros(0, 40)], torch.zeros(0, INPUTS), [[update(4, 40)]])


def test_rows_that_lie_apart_are_read_in_their_order() -> None:
    own, wide = update(4, 40), numbers(6, 2 * INPUTS, seed=5)
    apart, together = torch.zeros(6, 40), torch.zeros(6, 40)
    updates.add_([apart], wide[:, INPUTS:], [[own]])
    updates.add_([together], wide[:, INPUTS:].contiguous(), [[own]])
    assert torch.equal(apart, together)


def test_what_cannot_be_read_is_known() -> None:
    own = update(4, 40)
    assert updates.readable(own)
    assert not updates.readable(replace(own, up=own.up.contiguous()))
    assert not updates.readable(replace(own, down=own.down.double()))
    assert not updates.readable(replace(own, down=own.down.T.contiguous().T))
    assert not updates.readable(replace(own, down=own.down[:, :40].contiguous()))


@pytest.mark.parametrize(
    ("result", "x", "added"),
    [
        (torch.zeros(2, 40), torch.zeros(2, 256), update(4, 40)),
        (torch.zeros(2, 48), torch.zeros(2, INPUTS), update(4, 40)),
        (torch.zeros(1, 40), torch.zeros(2, INPUTS), update(4, 40)),
        (torch.zeros(2, 40, dtype=torch.bfloat16), torch.zeros(2, INPUTS), update(4, 40)),
        (torch.zeros(2, 40), torch.zeros(2, INPUTS), replace(update(4, 40), up=torch.zeros(40, 4))),
        (torch.zeros(40, 2).T, torch.zeros(2, INPUTS), update(4, 40)),
    ],
)
def test_what_does_not_fit_is_refused(result: Tensor, x: Tensor, added: Update) -> None:
    with pytest.raises(ValueError, match="are wanted"):
        updates.add_([result], x, [[added]])
