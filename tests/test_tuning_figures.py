"""What docs/tuning.md computes is what the plan says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mistral_cli.model.args import ModelArgs
from mistral_cli.tune.plan import Base, Load, plan_memory
from mistral_cli.tune.recipe import Recipe

PAGE = (Path(__file__).parents[1] / "docs" / "tuning.md").read_text(encoding="utf-8")
SHAPES = {
    "7B v0.3": ModelArgs.mistral_7b_v03(),
    "Nemo 12B": ModelArgs.nemo_12b(),
    "Small 24B": ModelArgs.small_24b(),
    "Mixtral 8x7B": ModelArgs.mixtral_8x7b(),
}


def _gigabytes(args: ModelArgs, quantize: str, batch: int, length: int) -> str:
    recipe = Recipe(quantize=quantize, rank=16, targets="q,v", batch=batch, length=length)
    return f"{plan_memory(Base(args=args), recipe, Load(longest=length, learnt=length)).total / 1e9:.1f}"


@pytest.mark.parametrize("name", list(SHAPES))
def test_the_memory_of_a_published_shape_is_the_planned_one(name: str) -> None:
    (rows,) = re.findall(rf"^\| {re.escape(name)} (\|.*\n.*\|)$", PAGE, flags=re.MULTILINE)
    for row, quantize in zip(rows.split("\n"), ("none", "nf4"), strict=True):
        figures = [
            _gigabytes(SHAPES[name], quantize, batch, length) for batch, length in ((1, 256), (1, 1024), (4, 1024))
        ]
        assert row.endswith(f"| `{quantize}` | {' | '.join(figures)} |")


def test_the_defaults_of_the_page_are_a_recipe_s() -> None:
    recipe = Recipe()
    told = dict(re.findall(r"^\| (`--\w.*?) \|.*\| (.*?) \|$", PAGE, flags=re.MULTILINE))
    assert told["`--rank`, `--alpha`"] == f"{recipe.rank}, {recipe.alpha:g}"
    assert told["`--lr`, `--schedule`, `--warmup`"] == f"2e-4, `{recipe.schedule}`, {recipe.warmup}"
    assert told["`--batch`, `--accumulate`"] == f"{recipe.batch}, {recipe.accumulate}"
    assert told["`--length`, `--packing`"] == f"{recipe.length}, no"
    assert told["`--eval-split`"] == f"{recipe.eval_split}"
    assert told["`--save-every`"] == f"{recipe.save_every}"
    assert told["`--epochs`, or `--steps`"] == f"{recipe.epochs:g}"
    assert told["`--targets`"] == f"`{recipe.targets}`"
