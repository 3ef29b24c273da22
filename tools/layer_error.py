"""What one quantized layer adds to the error of its activations: our products and bitsandbytes' on the shapes of a 7B.

Weights are drawn from a normal distribution, quantized once to NF4, and multiplied by rows in float32: the truth is
the product of the very same dequantized weights in float32. Rows are normal, or have one input in a hundred that is
thirty times as large, as trained models have them. No quality of a model follows from it.
"""

from __future__ import annotations

import json
import sys

import torch
from torch.nn import functional

from mistral_cli.kernels import packing
from mistral_cli.kernels.products import multiply
from mistral_cli.kernels.schemes import NF4
from mistral_cli.weights import bitsandbytes_4bit
from mistral_cli.weights.fuse import FINE

SHAPES = {
    "q_proj": (4096, 4096),
    "k_proj": (1024, 4096),
    "v_proj": (1024, 4096),
    "o_proj": (4096, 4096),
    "gate_proj": (14336, 4096),
    "up_proj": (14336, 4096),
    "down_proj": (4096, 14336),
    "lm_head": (32768, 4096),
}
ROWS = 64


def rows(inputs: int, *, outliers: bool) -> torch.Tensor:
    """Return rows as layers read them."""
    drawn = torch.randn(ROWS, inputs, generator=torch.Generator().manual_seed(1))
    if outliers:
        drawn[:, ::100] *= 30
    return drawn


def errors(shape: tuple[int, int]) -> dict[str, float]:
    """Return the relative L2 error of each way to compute a layer of this shape, by kind of rows."""
    weight = (torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 0.02).bfloat16()
    packed = packing.quantize(weight, NF4)
    theirs = bitsandbytes_4bit.quantize(weight, torch.device("cpu"), torch.bfloat16)
    found = {}
    for kind in ("normal", "outliers"):
        x = rows(shape[1], outliers=kind == "outliers")
        for way, got, exact in (
            ("coarse", multiply(x, packed), packed),
            ("fine", multiply(x, packed, fine=True), packed),
            ("bitsandbytes", theirs(x.bfloat16()).float(), theirs),
        ):
            wanted = functional.linear(x, exact.dequantize() if exact is theirs else packing.dequantize(packed))
            found[f"{way}, {kind}"] = float((got - wanted).norm() / wanted.norm())
    return found


def main() -> None:
    """Print a table on stderr, one line of JSON on stdout; the precision that a fused model takes is marked."""
    table = {name: errors(shape) for name, shape in SHAPES.items()}
    for name, row in table.items():
        told = "  ".join(f"{way} {value:.2%}" for way, value in row.items())
        print(f"{name:10} ({'fine' if name in FINE else 'fine in the first layers'}): {told}", file=sys.stderr)
    print(json.dumps({name: {way: round(value, 6) for way, value in row.items()} for name, row in table.items()}))


if __name__ == "__main__":
    main()
