"""What an adapter adds to a model, counted from shapes alone. Needs no weights and no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.tune.recipe import ALL_LINEAR, LETTERS

if TYPE_CHECKING:
    from mistral_cli.model.args import ModelArgs
    from mistral_cli.tune.recipe import Recipe


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


def count_adapter(args: ModelArgs, recipe: Recipe) -> AdapterCount:
    """Count the pairs of matrices, (rank, inputs) and (outputs, rank), of a recipe's targets in a model."""
    shapes = [shape for name, shape in args.tensor_shapes().items() if _is_target(name, recipe)]
    return AdapterCount(
        adapters=len(shapes),
        trained=sum(recipe.rank * (outputs + inputs) for outputs, inputs in shapes),
        total=args.parameters,
    )


def _is_target(name: str, recipe: Recipe) -> bool:
    """Tell whether a tensor's layer is adapted; experts are one tensor in transformers, and so are none."""
    wanted = tuple(LETTERS.values()) if recipe.targets == ALL_LINEAR else tuple(recipe.target_modules)
    return name.removesuffix(".weight").endswith(tuple(f".{module}" for module in wanted))
