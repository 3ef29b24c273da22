"""Samples share sequences: none is lost, none is split, and the same lengths always share in the same way."""

from __future__ import annotations

import random

import pytest

from mistral_cli.tune.packing import pack


def first_fit(lengths: list[int], length: int) -> tuple[tuple[int, ...], ...]:
    """Find the first sequence with room by looking at each: the definition."""
    sequences: list[list[int]] = []
    for at, size in enumerate(lengths):
        fitting = (held for held in sequences if sum(lengths[other] for other in held) + size <= length)
        held = next(fitting, None)
        if held is None:
            sequences.append(held := [])
        held.append(at)
    return tuple(map(tuple, sequences))


def test_each_sample_goes_into_the_first_sequence_with_room() -> None:
    packing = pack([6, 5, 4, 5, 1], 10)
    assert packing.sequences == ((0, 2), (1, 3), (4,))
    assert packing.filled == pytest.approx(21 / 30)


@pytest.mark.parametrize("seed", range(8))
def test_it_is_first_fit_whatever_the_lengths(seed: int) -> None:
    draw = random.Random(seed)
    length = draw.choice([8, 50, 1024])
    lengths = [draw.randint(1, length) for _ in range(draw.choice([1, 2, 3, 64, 65, 200]))]
    assert pack(lengths, length).sequences == first_fit(lengths, length)


def test_no_samples_need_no_sequence() -> None:
    assert (pack([], 10).sequences, pack([], 10).filled) == ((), 0.0)


@pytest.mark.parametrize("lengths", [[11], [3, 0]])
def test_a_sample_that_fits_no_sequence_is_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="1 to 10"):
        pack(lengths, 10)
