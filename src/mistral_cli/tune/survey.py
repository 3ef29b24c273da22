"""A data set in numbers: how long its samples are, and how they would share sequences. Knows no row and no text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.tune.packing import pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistral_cli.tune.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Ids of the samples, before anything was cut."""

    least: int
    median: int
    p95: int
    """What 95 of 100 samples do not exceed."""
    most: int

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Lengths:
        """Measure one sample or more; each figure is the length of one of them (the nearest rank)."""
        ranked = sorted(lengths)
        return cls(least=ranked[0], median=_quantile(ranked, 0.5), p95=_quantile(ranked, 0.95), most=ranked[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What packing makes of the samples."""

    sequences: int
    filled: float
    """Part of the sequences' places that is taken."""

    @classmethod
    def of(cls, dataset: Dataset, length: int) -> Packed:
        """Plan the sequences of at most ``length`` ids, in the order of the rows."""
        packing = pack([len(sample.ids) for sample in dataset.samples], length)
        return cls(sequences=len(packing.sequences), filled=packing.filled)


def _quantile(ranked: Sequence[int], share: float) -> int:
    return ranked[max(math.ceil(share * len(ranked)) - 1, 0)]
