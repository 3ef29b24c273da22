"""Memory that runs out in the middle of an answer: what was said is there and marked, and the exit code is 5."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from processes import DEADLINE

if TYPE_CHECKING:
    from pathlib import Path

RUN = """
import resource, sys
from functools import partial
from mistral_cli.cli import guarded, run
from mistral_cli.model.cache import LayerCache

own, steps = LayerCache.reserve, 0

def reserve(self, start, tokens):
    # after some tokens the process gets no more memory, and the cache has to grow by gigabytes
    global steps
    steps += tokens == 1
    if steps > 60:
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 2**26, resource.getrlimit(resource.RLIMIT_AS)[1]))
        self._move(start - self.first, start - self.first, 1 << 26)
    own(self, start, tokens)

LayerCache.reserve = reserve
sys.exit(guarded(partial(run, sys.argv[1:])))
"""
ASKED = ("gen", "-m", "builtin", "--device", "cpu", "--no-stdin", "-t", "0", "What is top_p?")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits the address space and reads /proc")


def run_out(*flags: str) -> subprocess.CompletedProcess[str]:
    run = subprocess.run(
        [sys.executable, "-c", RUN, *ASKED, *flags], capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    assert run.returncode == 5
    assert "The memory ran out while computing" in run.stderr
    assert "Traceback" not in run.stderr
    return run


def test_what_was_said_stays_on_stdout() -> None:
    whole = subprocess.run(
        [sys.executable, "-m", "mistral_cli", *ASKED], capture_output=True, text=True, check=True, timeout=DEADLINE
    )
    said = run_out().stdout.removesuffix("\n")
    assert said
    assert whole.stdout.startswith(said)
    assert len(whole.stdout) > len(said) + 1


def test_json_holds_what_was_said_and_says_that_it_was_cut_short() -> None:
    told = json.loads(run_out("--json").stdout)
    assert told["text"]
    assert told["reason"] == "cancelled"


def test_a_file_holds_what_was_said_under_another_name(tmp_path: Path) -> None:
    run = run_out("-o", str(tmp_path / "answer.txt"))
    assert "answer.txt.partial" in run.stderr
    assert (tmp_path / "answer.txt.partial").read_text().strip()
    assert not (tmp_path / "answer.txt").exists()
