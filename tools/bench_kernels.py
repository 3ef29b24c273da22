"""How fast the 4-bit products are, beside bitsandbytes and bfloat16: milliseconds for one product of the 7B shapes.

All rows of a line are measured in turn, several rounds interleaved: the least and the median of them. Each contender
has four matrices, so that none of them is found in a cache. With --cpu-time one thread's own time is taken instead of
the clock's, which says something even on a machine that is busy with other things.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from mistral_cli.kernels import library, packing
from mistral_cli.kernels.products import multiply
from mistral_cli.kernels.schemes import INT4, NF4

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

SHAPES = ((14336, 4096), (4096, 14336))
ROWS = (1, 2, 4, 8, 16, 128, 512)
COPIES = 4


def contenders(weight: Tensor, wanted: set[str]) -> dict[str, Callable[[Tensor, int], Tensor]]:
    """Return name -> a function of the rows and the number of the copy to multiply them with."""
    variants = [name for name in (*library.load().variants, "int4") if name in wanted]
    found: dict[str, Callable[[Tensor, int], Tensor]] = {}
    for name in variants:
        copies = [packing.quantize(weight, INT4 if name == "int4" else NF4) for _ in range(COPIES)]
        variant = None if name == "int4" else name
        found[name] = lambda x, i, copies=copies, variant=variant: multiply(x, copies[i], variant=variant)
    if "bnb" in wanted:
        layers = [bitsandbytes_layer(weight) for _ in range(COPIES)]
        found["bnb"] = lambda x, i: layers[i](x)
    if "bf16" in wanted:
        weights = [weight.clone() for _ in range(COPIES)]
        found["bf16"] = lambda x, i: functional.linear(x, weights[i])
    return found


def bitsandbytes_layer(weight: Tensor) -> torch.nn.Module:
    """Return a Linear4bit of ``weight`` that has repacked itself for this processor."""
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    import bitsandbytes

    layer = bitsandbytes.nn.Linear4bit(
        weight.shape[1], weight.shape[0], bias=False, compute_dtype=torch.bfloat16, quant_type="nf4"
    )
    layer.weight = bitsandbytes.nn.Params4bit(weight.clone(), requires_grad=False, quant_type="nf4")
    layer = layer.to("cpu").eval()
    layer(torch.zeros(1, weight.shape[1], dtype=torch.bfloat16))
    return layer


def measure(run: Callable[[Tensor, int], Tensor], x: Tensor, clock: Callable[[], float]) -> float:
    """Return the milliseconds of one product."""
    copies = COPIES if len(x) < 64 else 1
    started = clock()
    for index in range(copies):
        run(x, index)
    return (clock() - started) / copies * 1e3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--only", nargs="+", default=[library.isa(), "int4", "bnb", "bf16"])
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1 if options.cpu_time else options.threads)
    clock = time.thread_time if options.cpu_time else time.perf_counter
    print(f"{torch.get_num_threads()} threads, {library.isa()}; least / median of {options.rounds} rounds, ms")
    for outputs, inputs in SHAPES:
        weight = (torch.randn(outputs, inputs) * 0.02).bfloat16()
        started = time.perf_counter()
        packing.quantize(weight, NF4)
        print(f"\n{outputs} × {inputs}: quantized at {weight.nbytes / (time.perf_counter() - started) / 1e9:.1f} GB/s")
        runs = contenders(weight, set(options.only))
        print("rows  " + "".join(f"{name:>20}" for name in runs))
        for rows in options.rows:
            x = torch.randn(rows, inputs).bfloat16()
            with torch.no_grad():
                for run in runs.values():
                    run(x, 0)
                rounds = [[measure(run, x, clock) for run in runs.values()] for _ in range(options.rounds)]
            times = [f"{min(column):.2f} / {statistics.median(column):.2f}" for column in zip(*rounds, strict=True)]
            print(f"{rows:>4}  " + "".join(f"{text:>20}" for text in times), flush=True)


if __name__ == "__main__":
    main()
