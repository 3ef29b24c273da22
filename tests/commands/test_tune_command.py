"""``mistral tune`` around the training: what is checked, told, written and kept."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
from command_line import mistral
from tunings import Tuning, write_capitals

from mistral_cli.cli import build
from mistral_cli.commands.tune import _RECIPE
from mistral_cli.errors import OutOfMemoryError, UsageError
from mistral_cli.settings.toml_file import read_toml
from mistral_cli.tune.recipe import Recipe, check_recipe
from mistral_cli.weights.hub import builtin_path

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tuning(tmp_path: Path) -> Tuning:
    return Tuning(folder=tmp_path / "mine", data=write_capitals(tmp_path))


# -- flags -------------------------------------------------------------------------------------------------------------


def test_every_field_of_a_recipe_has_its_flag() -> None:
    assert set(_RECIPE) == {field.name for field in fields(Recipe)}


def test_the_help_tells_the_defaults_of_a_recipe() -> None:
    words = {"packing": "no", "checkpointing": "yes", "lr": "2e-4", "steps": "0, as --epochs has it"}
    words |= {"eval_every": "0, once an epoch", "adapter": "a new one"}
    params = {param.name: param for param in build().get_command(None, "tune").params}
    for field in fields(Recipe):
        plain = f"{field.default:g}" if isinstance(field.default, float) else field.default
        shown = words.get(field.name, plain)
        assert params[field.name].help.endswith(f"(default: {shown})."), field.name


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--rank", "0"), "--rank is 0, but must be"),
        (("--rank", "x"), "--rank"),
        (("--targets", "q,z"), "--targets is 'q,z', but must be"),
        (("--lr", "nan"), "--lr is nan, but must be"),
        (("--eval-split", "0.9"), "--eval-split is 0.9, but must be"),
        (("--quantize", "int8"), "--quantize"),
        (("--length", "4096"), "--length is 4,096, but the model was made for 2,048 tokens."),
        (("--recipe", "/no/such.toml"), "--recipe: there is no file /no/such.toml."),
        (("--source", "en"), "A translation wants --source and --target."),
    ],
)
def test_a_wrong_flag_is_named_and_nothing_is_made(capfd, tmp_path: Path, flags, message: str) -> None:
    data, folder = write_capitals(tmp_path), tmp_path / "mine"
    code, out, err = mistral(capfd, "tune", "builtin", "--data", str(data), "-o", str(folder), *flags)
    assert (code, out) == (2, "")
    assert message in err
    assert not folder.exists()


def test_a_model_that_is_not_there_is_not_found(capfd, tmp_path: Path) -> None:
    assert mistral(capfd, "tune", "./nowhere", "--data", str(write_capitals(tmp_path))).code == 3


def test_data_that_are_not_there_are_not_found(capfd, tmp_path: Path) -> None:
    code, _, err = mistral(capfd, "tune", "builtin", "--data", str(tmp_path / "none.csv"))
    assert code == 3
    assert "none.csv" in err


def test_without_the_optional_packages_it_says_what_to_install(tuning: Tuning, monkeypatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("mistral_cli.commands.tune_run.find_spec", lambda name: None if name == "peft" else find(name))
    with pytest.raises(UsageError) as refused:
        tuning.run()
    assert str(refused.value) == "mistral tune needs peft, which is not installed. pip install 'mistral-cli[tune]'"


# -- the plan ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_the_plan_and_makes_nothing(capfd, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_capitals(tmp_path, "broken")
    code, out, err = mistral(capfd, "tune", "builtin", "--data", str(data), "--dry-run", "--epochs", "8")
    assert code == 0
    assert "26,624 of 4,949,120 parameters (0.54%): 8 adapters of rank 16 on q,v" in out
    assert "5 samples of 6 rows (completion): 66 tokens, of which 16 are learnt" in out
    assert "8 of up to 16 samples (8 × 4 samples)" in out
    assert "1 of 6 rows cannot be used: row 7: 1 cells where there are 2 columns." in err
    assert [path.name for path in tmp_path.iterdir()] == ["capitals.csv"]


def test_a_dry_run_for_a_program_holds_the_whole_recipe(capfd, tmp_path: Path) -> None:
    data = write_capitals(tmp_path)
    code, out, _ = mistral(capfd, "tune", "builtin", "--data", str(data), "--dry-run", "--json", "--rank", "8")
    plan = json.loads(out)
    assert (code, plan["dry_run"], plan["trained"], plan["steps"]) == (0, True, 8 * 8 * (2 * 128 + 128 + 32) // 2, 3)
    assert Recipe().with_values(plan["recipe"]) == Recipe(rank=8)
    memory = plan["memory"]
    assert memory["total"] < memory["free"]
    assert memory["fits"] is True


def test_processes_that_train_together_take_larger_steps(capfd, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    flags = ("--dry-run", "--batch", "1", "--accumulate", "1", "--epochs", "1")
    _, out, _ = mistral(capfd, "tune", "builtin", "--data", str(write_capitals(tmp_path)), *flags)
    assert "2 of up to 2 samples (1 × 4 samples)" in out


def test_without_weights_and_tokenizer_only_the_tokens_are_unknown(capfd, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    config = json.loads((builtin_path() / "config.json").read_text())
    del config["mistral_cli_tokenizer"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    data = write_capitals(tmp_path)
    code, out, _ = mistral(capfd, "tune", str(tmp_path / "model"), "--data", str(data), "--dry-run")
    assert code == 0
    assert "5 rows; tokens are not known without a tokenizer" in out
    assert "26,624 of 4,949,120" in out
    _, out, _ = mistral(capfd, "tune", str(tmp_path / "model"), "--data", str(data), "--dry-run", "--json")
    assert json.loads(out)["tokens"] is None


def test_a_dry_run_of_what_does_not_fit_says_so_and_what_would(capfd, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    config = json.loads((builtin_path() / "config.json").read_text())
    config |= {"num_hidden_layers": 900, "hidden_size": 8192, "head_dim": 1024, "intermediate_size": 2**15}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    flags = ("--data", str(write_capitals(tmp_path)), "--dry-run")
    code, out, err = mistral(capfd, "tune", str(tmp_path / "model"), *flags)
    assert code == 0
    assert "of which 16 are learnt" in out
    assert "warning: The training needs " in err


def test_a_training_that_does_not_fit_is_refused_before_anything_is_loaded(tuning: Tuning, monkeypatch) -> None:
    monkeypatch.setattr("mistral_cli.engine.plan.host_free", lambda: 10**8)
    with pytest.raises(OutOfMemoryError, match="but 100,000,000 are free"):
        tuning.run()
    assert not tuning.folder.exists()
    assert tuning.trainer.jobs == []


# -- recipes -----------------------------------------------------------------------------------------------------------


def test_flags_are_stronger_than_a_file_and_what_came_of_both_lies_beside_the_adapter(tuning, tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text('rank = 4\ntargets = "q"\n')
    assert tuning.run(recipe=file, rank=8) == 0
    wanted = Recipe(rank=8, targets="q")
    assert tuning.trainer.jobs[0].recipe == wanted
    path = tuning.folder / "recipe.toml"
    assert path.read_text().startswith("# mistral tune builtin --data ")
    assert Recipe().with_values(check_recipe(read_toml(path).table, path)) == wanted


def test_a_model_for_fewer_tokens_gets_shorter_sequences(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for file in builtin_path().iterdir():
        if file.name != "config.json":
            (tmp_path / "model" / file.name).symlink_to(file)
    config = json.loads((builtin_path() / "config.json").read_text()) | {"max_position_embeddings": 512}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    tuning = Tuning(folder=tmp_path / "mine", data=write_capitals(tmp_path))
    assert tuning.run(model=str(tmp_path / "model")) == 0
    assert tuning.trainer.jobs[0].recipe.length == 512
    assert tuning.trainer.jobs[0].base == str((tmp_path / "model").resolve())
    (tmp_path / "short.toml").write_text("rank = 8")
    again = Tuning(folder=tmp_path / "again", data=tuning.data)
    assert again.run(model=str(tmp_path / "model"), recipe=tmp_path / "short.toml") == 0
    assert again.trainer.jobs[0].recipe.length == 512
