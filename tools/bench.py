"""`make bench`: how long the program takes to start and to answer, on this machine, with the built-in model.

Every row is measured in turn, several rounds interleaved, in processes of their own: median, least and most.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MISTRAL = str(Path(sysconfig.get_path("scripts")) / "mistral")
GEN = [MISTRAL, "gen", "--model", "builtin", "--temperature", "0", "--json", "What is a KV cache?"]


def _whole(command: list[str]) -> float:
    """Seconds until ``command`` has ended."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - started


def _first_output() -> float:
    """Seconds from the start of `mistral gen` to the first byte of its answer."""
    command = [part for part in GEN if part != "--json"]
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None  # a pipe was asked for
        os.read(process.stdout.fileno(), 1)
        seconds = time.perf_counter() - started
        process.communicate()
    return seconds


def _tokens_per_second() -> float:
    """Decoding speed that the program itself reports."""
    run = subprocess.run(GEN, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return float(json.loads(run.stdout)["timings"]["tokens_per_second"])


ROWS: dict[str, tuple[Callable[[], float], str]] = {
    "python -c 'import torch'": (lambda: _whole([sys.executable, "-c", "import torch"]), "s"),
    "mistral --help": (lambda: _whole([MISTRAL, "--help"]), "s"),
    "mistral gen, start to first token": (_first_output, "s"),
    "mistral gen, decoding": (_tokens_per_second, "tokens/s"),
}


def main() -> None:
    """Measure all rows and print a table on stderr, one line of JSON on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    figures: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(rounds):
        for name, (measure, _unit) in ROWS.items():
            figures[name].append(measure())
    for name, values in figures.items():
        median = statistics.median(values)
        print(f"{name:36} {median:8.2f} {ROWS[name][1]:9} ({min(values):.2f} to {max(values):.2f})", file=sys.stderr)
    print(json.dumps({name: statistics.median(values) for name, values in figures.items()}))


if __name__ == "__main__":
    main()
