"""A training by two processes: one model, one writer, and Ctrl-C saves once and ends both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mistral_cli.tune.training.checkpoints import find_checkpoints

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 600
"""Seconds for what takes ten: two processes that import transformers, on a machine that does much else."""
FLAGS = ("--steps", "100000", "--save-every", "100000", "--batch", "1", "--accumulate", "2", "--rank", "2")
REST = ("--length", "32", "--eval-split", "0.2", "--samples", "0", "--threads", "1")
LAUNCHER = ("torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d")
PLACE = ("--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1")  # a free port, of this machine alone


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the processes in /proc")
def test_ctrl_c_saves_once_and_ends_both(tmp_path: Path) -> None:
    data, folder = tmp_path / "sums.csv", tmp_path / "mine"
    data.write_text("prompt,completion\n" + "".join(f"What is {n} and {n}?,{n + n}.\n" for n in range(20)))
    command = [sys.executable, "-m", *LAUNCHER, *PLACE, "-m", "mistral_cli", "tune", "builtin", "--data", str(data)]
    surroundings = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(DEADLINE),  # before it kills them
        "GLOO_SOCKET_IFNAME": "lo",
    }
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(
            [*command, "-o", str(folder), *FLAGS, *REST], stdout=out, stderr=err, env=surroundings
        )
        try:
            metrics = folder / "metrics.jsonl"
            _wait_until(lambda: metrics.is_file() and '"step": 3' in metrics.read_text(), process, tmp_path / "err")
            workers = _children(process.pid)
            process.send_signal(signal.SIGINT)
            process.wait(DEADLINE)
        finally:
            process.kill()
            process.wait()
    told = (tmp_path / "err").read_text()
    assert len(workers) == 2
    assert not [worker for worker in workers if _is_there(worker)]
    assert told.count("Stopped after step ") == 1, told
    (checkpoint,) = find_checkpoints(folder)
    assert f"Stopped after step {checkpoint.step}, which is saved." in told
    assert checkpoint.identity["processes"] == 2
    assert {f"rng_state_{rank}.pth" for rank in (0, 1)} <= {file.name for file in checkpoint.folder.iterdir()}
    assert not (folder / "checkpoints" / ".partial").exists()
    assert (tmp_path / "out").read_text() == ""


def _wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], errors: Path) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert process.poll() is None, errors.read_text()
        assert time.monotonic() < end, errors.read_text()
        time.sleep(0.05)


def _children(parent: int) -> list[int]:
    """Return the processes that it began."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(child) for child in children.split()]


def _is_there(process: int) -> bool:
    """Tell whether a process runs; one that nobody waited for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
