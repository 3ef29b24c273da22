"""The library: which variant is used, and on whose threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from weights_and_rows import rows, weight

from mistral_cli.kernels import library, packing
from mistral_cli.kernels.products import multiply
from mistral_cli.kernels.schemes import NF4


def test_the_best_variant_is_used_by_itself() -> None:
    assert library.unavailable() is None
    assert library.isa() == library.load().variants[0]


def test_nothing_speaks_against_a_fast_variant() -> None:
    assert (library.reason_against() is None) is (library.load().variants[0] != "portable")


def test_every_machine_has_the_portable_variant() -> None:
    assert library.load().variants[-1] == "portable"


@pytest.mark.parametrize(
    ("forced", "said"),
    [
        ("portable", "portable"),
        ("sse9", "unavailable: MISTRAL_CLI_KERNEL is 'sse9', but this"),
        ("none", "unavailable: MISTRAL_CLI_KERNEL is 'none'"),
    ],
)
def test_a_lesser_variant_or_none_can_be_forced(forced: str, said: str) -> None:
    command = [sys.executable, "-c", "import mistral_cli.kernels.library as library; print(library.isa())"]
    environment = {**os.environ, library.FORCE: forced}
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.startswith(said)


def test_a_variant_that_is_not_there_is_refused() -> None:
    packed = packing.empty(NF4, 16, 64)
    with pytest.raises(library.KernelUnavailableError, match=r"no variant 'sse9' .* There are: .*portable"):
        multiply(torch.zeros(1, 64), packed, variant="sse9")


def test_torchs_threads_are_found_although_the_variant_was_asked_before_torch_was_there() -> None:
    code = "from mistral_cli.kernels import library as l; l.isa(); import torch; l.load(); print(l.threaded())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == f"{torch.backends.openmp.is_available()}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_products_run_on_torchs_own_threads() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.randn(512, 512) @ torch.randn(512, 512)
        torch.randn(2**20).exp()  # wakes torch's pool
        before = {task.name for task in Path("/proc/self/task").iterdir()}
        packed = packing.quantize(weight(1024, 1024), NF4)
        multiply(rows(8, 1024), packed)
        after = {task.name for task in Path("/proc/self/task").iterdir()}
    finally:
        torch.set_num_threads(threads)
    assert after <= before  # one of somebody else's may have ended
