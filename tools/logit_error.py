"""What our integers cost a whole model: the error of its logits against float32 arithmetic on the same weights.

The model has 7B's width and as many layers as are asked for; its weights are drawn from a normal distribution of
standard deviation 0.02 and quantized to NF4. Beside ours stand the same weights as bfloat16 numbers, multiplied by
torch in bfloat16. A random model makes more of any error with every layer, so it is the comparison that counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from mistral_cli.kernels import packing
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.schemes import NF4
from mistral_cli.measure.random_model import shape_named
from mistral_cli.model.transformer import Mistral
from mistral_cli.weights.fuse import fuse

if TYPE_CHECKING:
    from mistral_cli.model.args import ModelArgs

STANDARD_DEVIATION = 0.02
VOCABULARY = 8192
"""Smaller than a 7B's: the last product has the precision of any vocabulary."""


class Numbers(nn.Module):
    """A packed layer whose weights become numbers of one dtype, which torch multiplies."""

    def __init__(self, packed: PackedLinear, dtype: torch.dtype) -> None:
        super().__init__()
        self.packed, self.dtype = packed, dtype

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs)."""
        return functional.linear(x.to(self.dtype), self.packed.dequantize(self.dtype)).to(x.dtype)


def packed_layers(args: ModelArgs) -> dict[str, nn.Module | nn.Parameter]:
    """Return the weights by the names of their modules: what is linear packed, embeddings and norms as numbers."""
    generator = torch.Generator().manual_seed(0)
    made: dict[str, nn.Module | nn.Parameter] = {}
    for name, shape in args.tensor_shapes().items():
        owner = name.removesuffix(".weight")
        drawn = torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=generator) * STANDARD_DEVIATION
        linear = len(shape) == 2 and not owner.endswith("embed_tokens")
        made[owner] = (
            PackedLinear.from_packed(packing.quantize(drawn, NF4))
            if linear
            else nn.Parameter(drawn, requires_grad=False)
        )
    return made


def model_of(
    args: ModelArgs, layers: dict[str, nn.Module | nn.Parameter], dtype: torch.dtype, *, packed: bool
) -> Mistral:
    """Return a model of these weights; unless ``packed``, torch multiplies them as numbers of ``dtype``."""
    model = Mistral(args, device="meta", dtype=dtype).eval()
    for name, layer in layers.items():
        if isinstance(layer, nn.Parameter):
            model.get_submodule(name).weight = nn.Parameter(layer.to(dtype), requires_grad=False)
        elif isinstance(layer, PackedLinear):
            model.set_submodule(name, PackedLinear.from_packed(layer.packed) if packed else Numbers(layer, dtype))
    return model


def error(got: Tensor, wanted: Tensor) -> float:
    """Return the relative L2 error."""
    return float((got.float() - wanted).norm() / wanted.norm())


@torch.inference_mode()
def measured(n_layers: int, tokens: int) -> dict[str, float]:
    """Return the error of each way to compute the logits of random ids."""
    args = replace(shape_named("7b"), n_layers=n_layers, vocab_size=VOCABULARY)
    layers = packed_layers(args)
    ids = torch.randint(0, VOCABULARY, (1, tokens), generator=torch.Generator().manual_seed(1))
    wanted = model_of(args, layers, torch.float32, packed=False)(ids)[0]
    theirs = model_of(args, layers, torch.bfloat16, packed=False)(ids)[0]
    ours = model_of(args, layers, torch.bfloat16, packed=True)
    if not fuse(ours):
        raise SystemExit("Our kernel is not here (see mistral doctor), so there is nothing to measure.")
    return {"ours": error(ours(ids)[0], wanted), "bfloat16": error(theirs, wanted)}


def main() -> None:
    """Print a line for each depth on stderr, one line of JSON on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="+", default=[2], help="depths")
    parser.add_argument("--tokens", type=int, default=96)
    chosen = parser.parse_args()
    found = {}
    for n_layers in chosen.layers:
        found[n_layers] = measured(n_layers, chosen.tokens)
        told = ", ".join(f"{way} {value:.2%}" for way, value in found[n_layers].items())
        print(f"{n_layers} layers: {told}", file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
