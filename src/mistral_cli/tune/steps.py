"""How often the optimizer steps: the arithmetic that plan and training share. Knows no tensor and no file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mistral_cli.tune.packing import pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistral_cli.tune.recipe import Recipe
    from mistral_cli.tune.samples import Sample


def make_sequences(samples: Sequence[Sample], recipe: Recipe) -> tuple[tuple[Sample, ...], ...]:
    """Return the rows of a batch: one sample each, or as many as fit where the recipe packs."""
    if not recipe.packing:
        return tuple((sample,) for sample in samples)
    packing = pack([len(sample.ids) for sample in samples], recipe.length)
    return tuple(tuple(samples[at] for at in row) for row in packing.sequences)


def count_steps(sequences: int, recipe: Recipe, *, processes: int = 1) -> int:
    """Return the optimizer steps of a training on so many rows, shared by so many processes."""
    of_epoch = steps_of_epoch(sequences, recipe, processes=processes)
    return recipe.steps or max(math.ceil(recipe.epochs * of_epoch), 1)


def steps_of_epoch(sequences: int, recipe: Recipe, *, processes: int = 1) -> int:
    """Return the optimizer steps in which every row is seen once; the last one may see fewer rows than the others."""
    batches = math.ceil(sequences / (recipe.batch * processes))
    return max(math.ceil(batches / recipe.accumulate), 1)
