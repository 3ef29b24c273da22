"""``mistral tune``: how it ends early, goes on, and leaves alone what is there."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest
from tunings import Tuning, write_capitals

from fakes import FakeTrainer
from mistral_cli.errors import MistralError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tuning(tmp_path: Path) -> Tuning:
    return Tuning(folder=tmp_path / "mine", data=write_capitals(tmp_path))


def test_ctrl_c_saves_stops_and_tells_how_to_go_on(tuning: Tuning) -> None:
    def strike(step: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    tuning.trainer.before_step = strike
    assert tuning.run() == 130
    assert tuning.out == ""
    command = f"mistral tune builtin --data {tuning.data} -o {tuning.folder} --resume"
    assert f"Stopped after step 3, which is saved. To go on:\n  {command}\n" in tuning.err
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_before_the_first_step_ends_at_once_and_leaves_nothing(tuning: Tuning) -> None:
    tuning.trainer.before_step = lambda _step: os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        tuning.run()
    assert not tuning.folder.exists()


def test_a_training_that_fails_before_its_first_checkpoint_leaves_nothing(tuning: Tuning) -> None:
    tuning.trainer.fails_at = 1
    tuning.trainer.before_step = lambda _: (tuning.folder / "checkpoints").mkdir()
    with pytest.raises(MistralError, match="not finite"):
        tuning.run()
    assert not tuning.folder.exists()


def test_a_training_goes_on_with_its_own_recipe_and_its_metrics(tuning: Tuning) -> None:
    tuning.trainer = FakeTrainer(fails_at=4)
    with pytest.raises(MistralError, match="not finite"):
        tuning.run(rank=8)
    tuning.trainer = FakeTrainer(goes_on_after=2)
    assert tuning.run(resume=True) == 0
    assert "no training to go on with" not in tuning.err
    job = tuning.trainer.jobs[0]
    assert (job.recipe.rank, job.resume) == (8, True)
    records = [json.loads(line) for line in (tuning.folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [0, 1, 2, 3, 4, 5, 6, 6]


def test_a_training_does_not_go_on_with_another_recipe(tuning: Tuning) -> None:
    tuning.trainer = FakeTrainer(fails_at=4)
    with pytest.raises(MistralError):
        tuning.run(rank=8)
    with pytest.raises(UsageError, match=r"--rank is 4, but the training in .* was begun with 8"):
        tuning.run(rank=4, resume=True)


def test_a_training_goes_on_with_smaller_batches_if_a_step_stays_what_it_was(tuning: Tuning) -> None:
    tuning.trainer = FakeTrainer(fails_at=4)
    with pytest.raises(MistralError):
        tuning.run(batch=4, accumulate=2)
    with pytest.raises(UsageError, match=r"A step takes 1 × 2 rows, but .* was begun with 4 × 2\."):
        tuning.run(batch=1, resume=True)
    tuning.trainer = FakeTrainer(goes_on_after=2)
    assert tuning.run(batch=1, accumulate=8, checkpointing=False, resume=True) == 0
    recipe = tuning.trainer.jobs[0].recipe
    assert (recipe.batch, recipe.accumulate, recipe.checkpointing) == (1, 8, False)


def test_where_there_is_nothing_to_go_on_with_it_begins_and_says_so(tuning: Tuning) -> None:
    assert tuning.run(resume=True) == 0
    assert "There is no training to go on with in" in tuning.err


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("adapter_model.safetensors", "holds an adapter already", "Name a new folder."),
        ("thesis.txt", "is not empty", "Name a new folder."),
    ],
)
def test_a_folder_that_holds_something_is_left_alone(tuning: Tuning, name: str, message: str, hint: str) -> None:
    tuning.folder.mkdir()
    (tuning.folder / name).write_text("years of work")
    with pytest.raises(UsageError, match=message) as refused:
        tuning.run()
    assert refused.value.hint == hint
    assert [path.read_text() for path in tuning.folder.iterdir()] == ["years of work"]


def test_a_training_that_is_not_over_is_not_begun_anew(tuning: Tuning) -> None:
    tuning.trainer = FakeTrainer(fails_at=4)
    with pytest.raises(MistralError):
        tuning.run()
    with pytest.raises(UsageError, match="holds a training that is not over") as refused:
        tuning.run()
    assert refused.value.hint == "Add --resume, or name a new folder."


def test_a_training_that_came_to_no_checkpoint_is_in_nobodys_way(tuning: Tuning) -> None:
    tuning.trainer = FakeTrainer(fails_at=2)
    with pytest.raises(MistralError):
        tuning.run()
    tuning.trainer = FakeTrainer()
    assert tuning.run() == 0


def test_what_is_left_of_a_checkpoint_is_nothing_to_go_on_with(tuning: Tuning) -> None:
    (tuning.folder / "checkpoints" / "step-3").mkdir(parents=True)
    assert tuning.run(resume=True) == 0
    assert "There is no training to go on with in" in tuning.err


def test_a_training_that_is_over_does_not_go_on(tuning: Tuning) -> None:
    tuning.run()
    with pytest.raises(UsageError, match="is over"):
        tuning.run(resume=True)


def test_a_folder_that_cannot_be_made_is_told_before_the_training(tuning: Tuning, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    tuning.folder = tmp_path / "file" / "mine"
    with pytest.raises(UsageError, match="--output"):
        tuning.run()
    assert tuning.trainer.jobs == []


def test_a_training_goes_on_without_metrics_where_they_cannot_be_written(tuning: Tuning) -> None:
    tuning.trainer.before_step = lambda step: (tuning.folder / "metrics.jsonl").mkdir() if step == 1 else None
    assert tuning.run() == 0
    assert tuning.err.count("metrics.jsonl cannot be written") == 1


def test_of_several_processes_only_the_first_speaks_and_writes(tuning: Tuning, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    tuning.folder.mkdir()
    assert tuning.run() == 0
    assert (tuning.out, tuning.err) == ("", "")
    assert sorted(path.name for path in tuning.folder.iterdir()) == ["adapter_model.safetensors", "checkpoints"]
