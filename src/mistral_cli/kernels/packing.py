"""Weights into the layout that the products read, and back. Knows tensors and schemes; computes no product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mistral_cli.errors import CheckpointError
from mistral_cli.kernels.library import load
from mistral_cli.kernels.schemes import BLOCK, GROUP, Scheme


class Allocate(Protocol):
    """Makes an uninitialized tensor on the CPU, as ``torch.empty`` does."""

    def __call__(self, shape: tuple[int, ...], /, *, dtype: torch.dtype) -> Tensor:
        """Return a tensor of this shape and dtype."""
        ...


TYPES = {torch.float32: 0, torch.bfloat16: 1}
"""Dtypes that the library reads and writes, by its own numbers for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """One matrix of 4-bit weights, as the products read it (``csrc/products.h`` draws the layout)."""

    scheme: Scheme
    outputs: int
    inputs: int
    nibbles: Tensor
    """(blocks, groups, 512) uint8."""
    scales: Tensor
    """(blocks, groups, 16) bfloat16."""


def supported(outputs: int, inputs: int) -> str | None:
    """Return why a matrix of this shape cannot be packed; None where it can."""
    if inputs % GROUP or not inputs or not outputs:
        return f"its {inputs} inputs are no multiple of {GROUP}" if inputs % GROUP else "it is empty"
    return None


def packed_bytes(outputs: int, inputs: int) -> int:
    """Return the bytes of a packed matrix of this shape: 4.25 bits a weight, but for what fills up the last block."""
    return -(-outputs // BLOCK) * BLOCK * inputs // GROUP * (GROUP // 2 + torch.bfloat16.itemsize)


def empty(scheme: Scheme, outputs: int, inputs: int, allocate: Allocate = torch.empty) -> Packed:
    """Return a matrix to be filled; outputs that fill up its last block of 16 are zero.

    Args:
        scheme: what the codes stand for.
        outputs: rows of the weight.
        inputs: columns of the weight.
        allocate: (shape, dtype=…) to a tensor, for memory on large pages or in a file.

    Raises:
        CheckpointError: the shape cannot be packed.
    """
    reason = supported(outputs, inputs)
    if reason:
        raise CheckpointError(f"A matrix of {outputs} × {inputs} cannot be packed: {reason}.", "Leave it in bfloat16.")
    blocks, groups = -(-outputs // BLOCK), inputs // GROUP
    nibbles = allocate((blocks, groups, BLOCK * GROUP // 2), dtype=torch.uint8)
    scales = allocate((blocks, groups, BLOCK), dtype=torch.bfloat16)
    if outputs % BLOCK:
        nibbles[-1].zero_()
        scales[-1].zero_()
    return Packed(scheme=scheme, outputs=outputs, inputs=inputs, nibbles=nibbles, scales=scales)


def quantize(weight: Tensor, scheme: Scheme, *, allocate: Allocate = torch.empty, variant: str | None = None) -> Packed:
    """Quantize ``weight`` (outputs, inputs), group by group.

    NF4's codes are those of bitsandbytes' ``quantize_4bit`` with blocks of 64; the scales are kept in bfloat16, which
    is exact for bfloat16 weights.

    Args:
        weight: on the CPU, in any floating dtype.
        scheme: what the codes stand for.
        allocate: where the result goes, see ``empty``.
        variant: name of the library's variant to use; None for the best. The result is the same.

    Raises:
        CheckpointError: the shape cannot be packed.
    """
    outputs, inputs = weight.shape
    packed = empty(scheme, outputs, inputs, allocate)
    weight = (weight if weight.dtype in TYPES else weight.float()).contiguous()
    midpoints, library = torch.tensor(scheme.midpoints), load()
    library.functions.products_quantize(
        library.index(variant),
        weight.data_ptr(),
        TYPES[weight.dtype],
        midpoints.data_ptr(),
        scheme.mirrored,
        packed.outputs,
        packed.inputs,
        packed.nibbles.data_ptr(),
        packed.scales.data_ptr(),
        torch.get_num_threads(),
    )
    return packed


def pack(codes: Tensor, scales: Tensor, scheme: Scheme, shape: tuple[int, int]) -> Packed:
    """Take over weights that are quantized already.

    Args:
        codes: bytes of two codes each, the first in the high nibble, in the order of the rows of the weight; any shape
            (bitsandbytes' ``weight``).
        scales: one number for each 64 weights, in the same order, any shape (bitsandbytes' ``absmax``, not quantized
            itself: see ``restore_scales``).
        scheme: what the codes stand for.
        shape: (outputs, inputs) of the weight.

    Raises:
        CheckpointError: the shape cannot be packed, or codes or scales are of another size.
    """
    packed = empty(scheme, *shape)
    if codes.numel() * 2 != shape[0] * shape[1] or scales.numel() * GROUP != shape[0] * shape[1]:
        raise CheckpointError(
            f"A matrix of {shape[0]} × {shape[1]} has {codes.numel()} bytes of codes and {scales.numel()} scales.",
            "Fetch the model again.",
        )
    codes, scales = codes.view(torch.uint8).contiguous(), scales.float().contiguous()
    load().functions.products_pack(
        codes.data_ptr(),
        scales.data_ptr(),
        *shape,
        packed.nibbles.data_ptr(),
        packed.scales.data_ptr(),
        torch.get_num_threads(),
    )
    return packed


def restore_scales(
    codes: Tensor, levels: Tensor, scales: Tensor, offset: Tensor | float, *, block: int = 256
) -> Tensor:
    """Return the scales that double quantization wrote as 8-bit codes, blocks of 256 to a scale of their own.

    Args:
        codes: (n,) uint8, bitsandbytes' ``absmax``.
        levels: (256,) ``nested_quant_map``.
        scales: (n / 256, rounded up) ``nested_absmax``.
        offset: ``nested_offset``.
        block: ``nested_blocksize``.
    """
    codes = codes.flatten()
    return levels.float()[codes.long()] * scales.float().repeat_interleave(block)[: len(codes)] + offset


def unpack(packed: Packed) -> Tensor:
    """Return the codes as ``pack`` takes them: (outputs, inputs / 2) uint8."""
    codes, nibbles = torch.empty(packed.outputs, packed.inputs // 2, dtype=torch.uint8), packed.nibbles.contiguous()
    load().functions.products_unpack(
        nibbles.data_ptr(), packed.outputs, packed.inputs, codes.data_ptr(), torch.get_num_threads()
    )
    return codes


def dequantize(packed: Packed, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the weights as numbers, (outputs, inputs): the exact levels times the scales."""
    weight = torch.empty(packed.outputs, packed.inputs, dtype=dtype if dtype in TYPES else torch.float32)
    nibbles, scales = packed.nibbles.contiguous(), packed.scales.contiguous()
    levels = torch.tensor(packed.scheme.levels)
    load().functions.products_dequantize(
        nibbles.data_ptr(),
        scales.data_ptr(),
        levels.data_ptr(),
        packed.outputs,
        packed.inputs,
        weight.data_ptr(),
        TYPES[weight.dtype],
        torch.get_num_threads(),
    )
    return weight.to(dtype)
