"""Scales of packed weights: numbers, and the bytes of double quantization. Knows tensors; no weight and no scheme.

Dettmers et al., "QLoRA" (arXiv:2305.14314), section 3, as bitsandbytes does it: the mean of all scales is taken off;
runs of 256, in the order of the rows of the weight, are divided by their greatest magnitude and rounded to the nearest
of 256 levels. The products read a level in bfloat16 (``csrc/products.h``).
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from mistral_cli.kernels.library import load
from mistral_cli.kernels.schemes import BLOCK, RUN

_CLOSE = 1e-6
"""What levels may differ by and be the same."""


@functools.cache
def scale_levels() -> Tensor:
    """Return the (256,) levels, ascending, in float32: the signed dynamic map of 8 bits.

    Dettmers, "8-Bit Approximations for Parallelism in Deep Learning" (arXiv:1511.04561); the numbers are those of
    ``create_dynamic_map`` in bitsandbytes. A level's exponent of 10 takes one bit more for each power; what is left is
    an even fraction between 0.1 and 1.
    """
    levels = [0.0, 1.0]
    for power in range(7):
        bounds = torch.linspace(0.1, 1, 2**power + 1)
        means = (10.0 ** (power - 6) * ((bounds[:-1] + bounds[1:]) / 2)).tolist()
        levels += [*means, *(-mean for mean in means)]
    return torch.tensor(sorted(levels))


def are_levels(levels: Tensor) -> bool:
    """Tell whether a checkpoint's ``nested_quant_map`` is ``scale_levels``."""
    return levels.shape == (256,) and torch.allclose(levels.float(), scale_levels(), rtol=0, atol=_CLOSE)


def planes() -> bytes:
    """Return the levels in bfloat16, the lower bytes of all first, as ``Levels`` of ``csrc/products.h`` holds them."""
    words = scale_levels().bfloat16().view(torch.uint8).view(-1, 2)
    return bytes(words.T.flatten().tolist())


def nest(scales: Tensor) -> tuple[Tensor, Tensor]:
    """Quantize scales again.

    Args:
        scales: (n,) float32, in the order of the rows of the weight.

    Returns:
        Their codes, (n,) uint8; (1 + n / 256 rounded up,) float32, the offset and then the size of each run.
    """
    levels = scale_levels()
    midpoints = (levels[:-1] + levels[1:]) / 2
    codes = torch.empty(scales.shape, dtype=torch.uint8)
    nested = torch.empty(1 + -(-len(scales) // RUN))
    nested[0] = scales.mean()
    load().functions.products_nest(
        scales.data_ptr(),
        len(scales),
        midpoints.data_ptr(),
        codes.data_ptr(),
        nested.data_ptr(),
        torch.get_num_threads(),
    )
    return codes, nested


def numbers(codes: Tensor, nested: Tensor) -> Tensor:
    """Return the (n,) scales in float32 that these stand for, as the products compute with them."""
    levels = scale_levels().bfloat16().float()[codes.long()]
    return levels * nested[1:].repeat_interleave(RUN)[: len(codes)] + nested[0]


def to_blocks(values: Tensor, outputs: int, blocks: Tensor) -> None:
    """Put values in the order of the rows, one a group, into ``blocks`` (blocks, groups, 16); the rest becomes zero."""
    count, groups, _ = blocks.shape
    rows = torch.zeros(count * BLOCK, groups, dtype=blocks.dtype)
    rows[:outputs] = values.view(outputs, groups)
    blocks.copy_(rows.view(count, BLOCK, groups).transpose(1, 2))


def from_blocks(blocks: Tensor, outputs: int) -> Tensor:
    """Return what ``to_blocks`` put there, (outputs * groups,)."""
    rows = blocks.transpose(1, 2).reshape(-1, blocks.shape[1])
    return rows[:outputs].flatten()
