"""A data set in numbers."""

from __future__ import annotations

import pytest

from mistral_cli.tune.dataset import Dataset
from mistral_cli.tune.samples import Sample
from mistral_cli.tune.survey import Lengths, Packed


@pytest.mark.parametrize(
    ("lengths", "figures"),
    [([7], (7, 7, 7, 7)), ([9, 1], (1, 1, 9, 9)), ([3, 1, 2], (1, 2, 3, 3)), (range(100, 0, -1), (1, 50, 95, 100))],
)
def test_lengths_are_those_of_samples(lengths: list[int], figures: tuple[int, ...]) -> None:
    found = Lengths.of(lengths)
    assert (found.least, found.median, found.p95, found.most) == figures


def test_packing_is_told_as_training_would_do_it() -> None:
    samples = tuple(Sample(ids=(1,) * size, trained=(True,) * size) for size in (6, 5, 4, 5))
    dataset = Dataset(samples=samples, rows=4, kinds={}, bad=(), lengths=(6, 5, 4, 5), divided=0, cut=0, dropped=0)
    assert Packed.of(dataset, 10) == Packed(sequences=2, filled=1.0)
