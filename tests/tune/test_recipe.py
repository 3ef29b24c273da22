"""How an adapter is trained, as flags and as a file, and how large it becomes: counted without weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from peft import LoraConfig, get_peft_model

from mistral_cli.errors import UsageError
from mistral_cli.model.args import ModelArgs
from mistral_cli.settings.toml_file import read_toml
from mistral_cli.tune.count import count_adapter
from mistral_cli.tune.recipe import Recipe, check_recipe
from oracle import SHAPES, models

if TYPE_CHECKING:
    from pathlib import Path


def test_the_128_adapters_of_a_7b_have_27_million_numbers() -> None:
    count = count_adapter(ModelArgs.mistral_7b_v03(), Recipe(rank=32, targets="q,k,v,o"))
    assert (count.adapters, count.trained) == (128, 27_262_976)
    assert count.share == pytest.approx(0.003747, abs=1e-6)


@pytest.mark.parametrize("shape", ["mistral", "nemo-like", "mixtral"])
@pytest.mark.parametrize("targets", ["q,v", "q,k,v,o", "all-linear"])
def test_peft_trains_as_many(shape: str, targets: str) -> None:
    if (shape, targets) == ("mixtral", "all-linear"):
        targets = "q, k, v, o"  # what peft finds there
    recipe = Recipe(rank=3, targets=targets)
    wanted = recipe.target_modules
    modules = wanted if isinstance(wanted, str) else list(wanted)
    theirs = get_peft_model(models(SHAPES[shape])[1], LoraConfig(r=3, target_modules=modules, task_type="CAUSAL_LM"))
    assert count_adapter(SHAPES[shape], recipe).trained == theirs.get_nb_trainable_parameters()[0]


def test_a_recipe_is_read_as_it_was_written(tmp_path: Path) -> None:
    recipe = Recipe(rank=8, targets="all-linear", lr=1e-3, packing=True, quantize="nf4")
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.as_toml())
    assert Recipe().with_values(check_recipe(read_toml(path).table, path)) == recipe


def test_a_range_is_told_as_it_is() -> None:
    for values in ({"alpha": 1e-4}, {"epochs": 1e-4}):
        with pytest.raises(UsageError, match=r"is 0\.0001, but must be a number from 0\.001 to "):
            Recipe().with_values(values)


def test_flags_that_nobody_gave_leave_the_recipe() -> None:
    assert Recipe(rank=8).with_values({"rank": None, "lr": 1e-3}) == Recipe(rank=8, lr=1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rank", 0),
        ("rank", True),
        ("lr", 0),
        ("lr", float("nan")),
        ("dropout", 1),
        ("targets", "q,x"),
        ("targets", ""),
        ("schedule", "step"),
        ("eval_split", 0.9),
        ("packing", "yes"),
        ("quantize", "int8"),
    ],
)
def test_a_value_out_of_its_range_is_refused_as_a_flag(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} is .*must be"):
        Recipe().with_values({name: value})


@pytest.mark.parametrize(
    ("table", "words"), [({"ranks": 3}, "'ranks'"), ({"rank": 0}, r"recipe\.toml: --rank is 0, but must be")]
)
def test_a_table_that_is_no_recipe_is_refused(tmp_path: Path, table: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_recipe(table, tmp_path / "recipe.toml")
