"""``mistral tune --adapter``: an adapter is gone on from, with its own numbers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from command_line import mistral
from tunings import Tuning, write_capitals

from lora_files import write_adapter
from mistral_cli.errors import CheckpointError, UsageError
from mistral_cli.settings.toml_file import read_toml
from mistral_cli.weights.config import read_args
from mistral_cli.weights.hub import builtin_path
from tiny_checkpoint import tiny_args

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tuning(tmp_path: Path) -> Tuning:
    return Tuning(folder=tmp_path / "mine", data=write_capitals(tmp_path))


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "be gun", read_args(builtin_path()))


def test_rank_alpha_and_targets_are_its_own_and_the_recipe_says_so(tuning: Tuning, begun: Path, monkeypatch) -> None:
    monkeypatch.chdir(begun.parent)
    assert tuning.run(adapter="be gun", alpha=16.0, targets="down,v,q") == 0
    job = tuning.trainer.jobs[0]
    assert job.adapter == begun
    assert (job.recipe.rank, job.recipe.alpha, job.recipe.targets) == (4, 16.0, "q,v,down")
    told = read_toml(tuning.folder / "recipe.toml").table
    assert (told["adapter"], told["rank"], told["targets"]) == (str(begun), 4, "q,v,down")
    assert f"goes on  from {begun}\n" in tuning.err
    tuning.folder = tuning.folder.with_name("again")
    assert tuning.run(recipe=begun.parent / "mine" / "recipe.toml") == 0
    assert tuning.trainer.jobs[1].recipe == job.recipe


def test_the_plan_counts_its_parameters(tuning: Tuning, begun: Path, capfd: pytest.CaptureFixture[str]) -> None:
    flags = ("--data", str(tuning.data), "--adapter", str(begun), "--dry-run", "--json")
    plan = json.loads(mistral(capfd, "tune", "builtin", *flags).out)
    shown = json.loads(mistral(capfd, "show", str(begun), "--json").out)
    assert plan["trained"] == shown["parameters"]
    assert plan["recipe"]["adapter"] == str(begun)


@pytest.mark.parametrize(("name", "value"), [("rank", 8), ("alpha", 8.0), ("targets", "q,v")])
def test_another_shape_than_its_own_is_refused(tuning: Tuning, begun: Path, name: str, value: object) -> None:
    with pytest.raises(UsageError, match=rf"--{name} is {value}, but the adapter .* has ") as refused:
        tuning.run(adapter=str(begun), **{name: value})
    assert refused.value.hint == "Leave it out: a training goes on with an adapter's own."
    assert tuning.trainer.jobs == []


def test_a_scale_is_refused(tuning: Tuning, begun: Path) -> None:
    with pytest.raises(UsageError, match="a training goes on from an adapter as it is"):
        tuning.run(adapter=f"{begun}:0.5")


def test_one_for_another_model_is_refused(tuning: Tuning, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        tuning.run(adapter=str(write_adapter(tmp_path / "other", tiny_args())))
    assert not tuning.folder.exists()


def test_one_that_is_not_there_is_not_found(tuning: Tuning, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = mistral(capfd, "tune", "builtin", "--data", str(tuning.data), "--adapter", "./none")
    assert code == 3
    assert "There is no adapter folder './none'" in err


def test_a_training_that_was_begun_so_goes_on_so(tuning: Tuning, begun: Path, monkeypatch) -> None:
    tuning.trainer.fails_at, tuning.trainer.error = 4, UsageError("stopped")
    with pytest.raises(UsageError, match="stopped"):
        tuning.run(adapter=str(begun))
    tuning.trainer.fails_at, tuning.trainer.goes_on_after = 0, 2
    monkeypatch.chdir(begun.parent)
    assert tuning.run(resume=True, adapter=begun.name) == 0
    assert [job.adapter for job in tuning.trainer.jobs] == [begun, begun]
