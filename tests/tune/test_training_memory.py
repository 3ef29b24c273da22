"""Memory that runs out in the middle of a training: one line, what to lower, and the last checkpoint is there."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from trainings import Noted, make_job, never, write_small_model

from commands.command_line import mistral
from mistral_cli.errors import OutOfMemoryError
from mistral_cli.tune.train import train
from mistral_cli.tune.training.checkpoints import find_checkpoints

if TYPE_CHECKING:
    from pathlib import Path

RUN = """
import resource, sys
from functools import partial
from pathlib import Path
from mistral_cli.cli import guarded, run
from mistral_cli.commands.tune_watch import Watch

told = Watch.progress

def progress(self, step):
    told(self, step)
    if step.step == 3:
        # the process gets no more memory, and the logits of the next step want 33 MB at once
        lines = Path("/proc/self/status").read_text().splitlines()
        size = next(int(line.split()[1]) for line in lines if line.startswith("VmData:")) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (size + 2**23, resource.getrlimit(resource.RLIMIT_DATA)[1]))

Watch.progress = progress
sys.exit(guarded(partial(run, sys.argv[1:])))
"""
FLAGS = ("--length", "64", "--steps", "5", "--save-every", "2", "--eval-split", "0", "--samples", "0", "--threads", "1")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory and reads /proc")
def test_with_less_of_it_at_once_it_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data, folder = tmp_path / "text.txt", tmp_path / "mine"
    data.write_text("\n\n".join(f"{number} and " * 60 for number in range(8)))
    asked = ("tune", "builtin", "--data", str(data), "-o", str(folder), *FLAGS)
    # what was freed goes back at once, so that the next step asks the system for it again
    surroundings = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    ran_out = subprocess.run(
        [sys.executable, "-c", RUN, *asked, "--batch", "4", "--accumulate", "1"],
        capture_output=True,
        text=True,
        check=False,
        env=surroundings,
    )
    assert (ran_out.returncode, ran_out.stdout) == (5, ""), ran_out.stderr
    errors = [line for line in ran_out.stderr.splitlines() if line.startswith("error: ")]
    assert errors == ran_out.stderr.splitlines()[-1:]
    assert errors[0].startswith("error: The memory ran out while training: no room for ")
    last = folder / "checkpoints" / "checkpoint-2"
    assert f"; the last checkpoint is {last}. Go on with --resume --batch 1 --accumulate 4, or begin" in errors[0]
    assert [one.folder for one in find_checkpoints(folder)] == [last]
    threads = torch.get_num_threads()
    code, out, _ = mistral(capfd, *asked, "--batch", "1", "--accumulate", "4", "--resume")
    torch.set_num_threads(threads)
    assert (code, out) == (0, f"{folder}\n")


def _fails_at(step: int, error: Exception) -> Noted:
    def fail(done: int) -> None:
        if done == step:
            raise error

    return Noted(after_step=fail)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has"),
            "no room for 2.50 GiB more",
        ),
        (MemoryError(), "no more can be had"),
        (RuntimeError("std::bad_alloc"), "no more can be had"),
    ],
)
def test_however_it_is_told_it_is_one_line(model: Path, tmp_path: Path, error: Exception, told: str) -> None:
    with pytest.raises(OutOfMemoryError) as ended:
        train(make_job(model, tmp_path, batch=1, checkpointing=False), _fails_at(3, error), never)
    last = tmp_path / "checkpoints" / "checkpoint-2"
    assert ended.value.message == f"The memory ran out while training: {told}; the last checkpoint is {last}."
    assert ended.value.hint == "Go on with --resume --checkpointing, or begin anew with --length 16 or --quantize nf4."


def test_before_the_first_checkpoint_it_tells_what_takes_less(model: Path, tmp_path: Path) -> None:
    with pytest.raises(OutOfMemoryError) as ended:
        train(make_job(model, tmp_path), _fails_at(1, MemoryError()), never)
    assert ended.value.message == "The memory ran out while training: no more can be had."
    assert ended.value.hint == "Take --batch 1 --accumulate 4."


def test_what_else_goes_wrong_is_no_lack_of_memory(model: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        train(make_job(model, tmp_path), _fails_at(1, RuntimeError("shapes differ")), never)


def test_smaller_batches_change_no_number_of_what_goes_on(model: Path, tmp_path: Path) -> None:
    whole, begun, after = Noted(), Noted(), Noted()
    train(make_job(model, tmp_path / "whole", steps=7), whole, never)
    train(make_job(model, tmp_path / "begun", steps=7), begun, lambda: len(begun.steps) == 4)
    smaller = {"steps": 7, "batch": 1, "accumulate": 4, "checkpointing": False}
    train(make_job(model, tmp_path / "begun", resume=True, **smaller), after, never)
    assert [step.step for step in after.steps] == [5, 6, 7]
    assert after.losses == pytest.approx(whole.losses[4:], rel=1e-4)
    assert [step.tokens for step in after.steps] == [step.tokens for step in whole.steps[4:]]
