"""What adapters cost at a decode step, in processor time of one thread, which can be compared on a busy machine.

A few layers of the width of 7B with random 4-bit weights, in turn with each adapter of ``time_adapters`` and without:
a few steps of one token each time, of which the first does not count. Told is what the fastest twentieth, quarter and
half of the steps take at most, and how much that is above a step without adapters.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import torch

from mistral_cli.model.args import ModelArgs
from mistral_cli.weights.adapters.attached import Adapters
from mistral_cli.weights.fuse import fuse
from profile_step import random_model
from time_adapters import ADAPTERS, BARE, write_adapter

IN_TURN = 9
SHARES = (0.05, 0.25, 0.5)
VOCABULARY = 512


@torch.inference_mode()
def measure(args: ModelArgs, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each step by the adapter that is on."""
    model = random_model(args)
    fuse(model)
    adapters, taken = Adapters(model), defaultdict[str, list[float]](list)
    cache = model.new_cache(capacity=rounds * IN_TURN * (1 + len(ADAPTERS)))
    with tempfile.TemporaryDirectory() as place:
        folders: dict[str, Path | None] = {BARE: None}
        for number, (name, (rank, ends)) in enumerate(ADAPTERS.items()):
            folders[name] = write_adapter(Path(place) / str(number), args, rank, ends)
        for _ in range(rounds):
            for name, folder in folders.items():
                if folder is not None:
                    adapters.load(folder)
                for _ in range(IN_TURN):
                    started = time.process_time()
                    model(torch.tensor([[5]]), cache)
                    taken[name].append((time.process_time() - started) * 1e3)
                del taken[name][-IN_TURN]
                adapters.off()
    return taken


def main() -> None:
    """Measure, and print a line for each adapter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    args = replace(ModelArgs.mistral_7b_v03(), n_layers=asked.layers, vocab_size=VOCABULARY)
    taken = measure(args, asked.rounds)
    at = {name: [sorted(steps)[int(len(steps) * share)] for share in SHARES] for name, steps in taken.items()}
    for name, times in at.items():
        told = (f"{time:8.2f} ms {time / bare - 1:+6.1%}" for time, bare in zip(times, at[BARE], strict=True))
        print(f"{name:22}", *told)


if __name__ == "__main__":
    main()
