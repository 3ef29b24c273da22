"""What an adapter adds to a model, counted from shapes alone. Needs no weights and no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.tune.recipe import ALL_LINEAR, LETTERS, split_targets
from mistral_cli.weights.adapters.files import linear_shapes
from mistral_cli.weights.adapters.lora_config import LoraConfig

if TYPE_CHECKING:
    from mistral_cli.model.args import ModelArgs
    from mistral_cli.tune.recipe import Recipe
    from mistral_cli.weights.adapters.files import AdapterFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterCount:
    """How large an adapter is."""

    adapters: int
    """Pairs of matrices: one for each layer that is adapted."""
    trained: int
    """Numbers that are trained."""
    total: int
    """Numbers of the base."""

    @property
    def share(self) -> float:
        """Trained of all."""
        return self.trained / (self.total + self.trained)


def count_adapter(args: ModelArgs, recipe: Recipe, begun: AdapterFiles | None = None) -> AdapterCount:
    """Count the pairs of matrices, (rank, inputs) and (outputs, rank), of a recipe's targets in a model.

    Where one is gone on from, ``begun``, it is that one's.
    Experts are one tensor in transformers, which no adapter is put on: ``LETTERS`` names none of theirs.
    """
    if begun is not None:
        return AdapterCount(adapters=len(begun.layers), trained=begun.parameters, total=args.parameters)
    targets = tuple(LETTERS.values()) if recipe.targets == ALL_LINEAR else split_targets(recipe.targets)
    adapted = LoraConfig(rank=recipe.rank, alpha=recipe.alpha, targets=targets).targets_module
    shapes = [shape for name, shape in linear_shapes(args).items() if adapted(name)]
    return AdapterCount(
        adapters=len(shapes),
        trained=sum(recipe.rank * (outputs + inputs) for outputs, inputs in shapes),
        total=args.parameters,
    )
