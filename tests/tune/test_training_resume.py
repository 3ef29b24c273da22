"""A training that is interrupted, killed, or without room on the disk goes on as if nothing had been."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from trainings import Noted, make_job, never, write_small_model

from full_disk import room_for_files
from mistral_cli.errors import CheckpointError, MistralError, UsageError
from mistral_cli.tune.train import train
from mistral_cli.tune.training import checkpoints

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mistral_cli.tune.events import Outcome

DROPPING = {"dropout": 0.2, "steps": 7, "eval_every": 100}
"""Random numbers are drawn in every batch; seven steps of two batches of two are more than two times eleven rows. No
rows are asked in between, so that whether to stop is asked after each batch alone."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Noted, Outcome]:
    """A training that nothing interrupts."""
    watcher = Noted()
    return watcher, train(
        make_job(model, tmp_path_factory.mktemp("whole") / "adapter", apart=3, **DROPPING), watcher, never
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def assert_goes_on(model: Path, folder: Path, whole: tuple[Noted, Outcome], *, after: int) -> None:
    """Resume in ``folder``: from step ``after`` on, all is as in the training that was never interrupted."""
    watcher = Noted()
    outcome = train(make_job(model, folder, apart=3, resume=True, **DROPPING), watcher, never)
    reference, end = whole
    assert [step.step for step in watcher.steps] == list(range(after + 1, 8))
    assert watcher.losses == pytest.approx(reference.losses[after:], abs=1e-6)
    assert [step.learning_rate for step in watcher.steps] == [step.learning_rate for step in reference.steps[after:]]
    assert (outcome.steps, outcome.before.loss) == (7, end.before.loss)
    assert outcome.after.loss == pytest.approx(end.after.loss, abs=1e-6)
    for name, tensor in weights(folder).items():
        torch.testing.assert_close(tensor, weights(end.folder)[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("asked", [7, 6, 11])
def test_stopped_in_or_between_steps_it_goes_on_with_the_same_numbers(
    model: Path, tmp_path: Path, whole: tuple[Noted, Outcome], asked: int
) -> None:
    """It is asked after each of two batches a step, three of which are an epoch."""
    times = iter(range(1, 100))
    watcher = Noted()
    outcome = train(make_job(model, tmp_path, apart=3, **DROPPING), watcher, lambda: next(times) == asked)
    assert (outcome.interrupted, outcome.steps, outcome.after) == (True, (asked - asked % 2) // 2, None)
    assert outcome.folder == watcher.folders[-1] == tmp_path / "checkpoints" / f"checkpoint-{outcome.steps}"
    assert not (tmp_path / "adapter_config.json").exists()
    assert_goes_on(model, tmp_path, whole, after=outcome.steps)


def test_stopped_in_its_first_batch_it_goes_on_from_the_beginning(
    model: Path, tmp_path: Path, whole: tuple[Noted, Outcome]
) -> None:
    assert train(make_job(model, tmp_path, apart=3, **DROPPING), Noted(), lambda: True).steps == 0
    assert_goes_on(model, tmp_path, whole, after=0)


def test_killed_it_loses_what_came_after_the_last_checkpoint(
    model: Path, tmp_path: Path, whole: tuple[Noted, Outcome]
) -> None:
    """Killed as soon as the sixth step's checkpoint is half written, for good."""
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from trainings import *; from mistral_cli.tune.train import train\n"
        "from mistral_cli.tune.training import checkpoints\n"
        "seal = checkpoints._seal\n"
        "checkpoints._seal = lambda folder, one: os.kill(os.getpid(), 9) if one.step == 6 else seal(folder, one)\n"
        f"train(make_job(Path(sys.argv[2]), Path(sys.argv[3]), apart=3, **{DROPPING}), Noted(), never)\n"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", program, here, str(model), str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "checkpoints" / ".partial" / "checkpoint-6" / "optimizer.pt").exists()
    assert_goes_on(model, tmp_path, whole, after=4)
    assert not (tmp_path / "checkpoints").exists()


def test_a_checkpoint_that_lost_a_part_is_passed_over(
    model: Path, tmp_path: Path, whole: tuple[Noted, Outcome]
) -> None:
    times = iter(range(1, 100))
    train(make_job(model, tmp_path, apart=3, **DROPPING), Noted(), lambda: next(times) == 10)
    assert [one.step for one in checkpoints.find_checkpoints(tmp_path)] == [5, 4]
    broken = tmp_path / "checkpoints" / "checkpoint-5" / "optimizer.pt"
    os.truncate(broken, broken.stat().st_size - 1)
    assert_goes_on(model, tmp_path, whole, after=4)


def test_killed_between_the_last_checkpoint_and_the_adapter_it_only_writes_that(
    model: Path, tmp_path: Path, whole: tuple[Noted, Outcome]
) -> None:
    def fail(evaluation: object) -> None:
        if evaluation.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(make_job(model, tmp_path, apart=3, **DROPPING), Noted(after_asking=fail), never)
    assert_goes_on(model, tmp_path, whole, after=7)


def test_another_recipe_or_other_data_is_refused(model: Path, tmp_path: Path) -> None:
    train(make_job(model, tmp_path), Noted(), lambda: True)
    with pytest.raises(UsageError, match="was interrupted after step 0"):
        train(make_job(model, tmp_path), Noted(), never)
    with pytest.raises(CheckpointError, match=r"is of a training with lr = 0\.01, and not 0\.02"):
        train(make_job(model, tmp_path, resume=True, lr=0.02), Noted(), never)
    job = make_job(model, tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="is of a training with other data"):
        train(
            type(job)(
                model_folder=model, recipe=job.recipe, train=job.train[1:], apart=(), folder=tmp_path, resume=True
            ),
            Noted(),
            never,
        )


@pytest.fixture
def file_size() -> Iterator[object]:
    """Give a function that lets no file grow beyond so many bytes: as a full disk does."""
    with room_for_files() as allow:
        yield allow


def test_on_a_full_disk_it_ends_with_the_last_checkpoint_whole(
    model: Path, tmp_path: Path, whole: tuple[Noted, Outcome], file_size: object
) -> None:
    watcher = Noted(after_step=lambda step: file_size(6000) if step == 3 else None)
    with pytest.raises(MistralError, match="The checkpoint of step 4 cannot be written") as caught:
        train(make_job(model, tmp_path, apart=3, **DROPPING), watcher, never)
    assert f"the last checkpoint is {tmp_path / 'checkpoints' / 'checkpoint-2'}" in caught.value.message
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-2"]
    file_size(resource.RLIM_INFINITY)
    assert_goes_on(model, tmp_path, whole, after=2)


def test_an_adapter_for_which_there_is_no_room_is_written_when_there_is(
    model: Path, tmp_path: Path, whole: tuple[Noted, Outcome], file_size: object
) -> None:
    watcher = Noted(after_asking=lambda evaluation: file_size(1000) if evaluation.step else None)
    with pytest.raises(MistralError, match="The adapter cannot be written") as caught:
        train(make_job(model, tmp_path, apart=3, **DROPPING), watcher, never)
    assert "--resume" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
    file_size(resource.RLIM_INFINITY)
    assert_goes_on(model, tmp_path, whole, after=7)
