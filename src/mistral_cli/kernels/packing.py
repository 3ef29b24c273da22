"""Weights into the layout that the products read, and back. Knows tensors and schemes; computes no product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mistral_cli.errors import CheckpointError
from mistral_cli.kernels.library import load
from mistral_cli.kernels.scales import from_blocks, nest, numbers, to_blocks
from mistral_cli.kernels.schemes import BLOCK, GROUP, RUN, Scheme


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
    """(blocks, groups, 16): bfloat16, or uint8 where they are quantized again."""
    nested: Tensor | None = None
    """What belongs to the latter, see ``scales.nest``."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Return nibbles, scales, and ``nested`` where it is there."""
        parts = self.nibbles, self.scales
        return parts if self.nested is None else (*parts, self.nested)


def supported(outputs: int, inputs: int) -> str | None:
    """Return why a matrix of this shape cannot be packed; None where it can."""
    if inputs % GROUP or not inputs or not outputs:
        return f"its {inputs} inputs are no multiple of {GROUP}" if inputs % GROUP else "it is empty"
    return None


def empty(
    scheme: Scheme, outputs: int, inputs: int, allocate: Allocate = torch.empty, *, nested: bool | None = None
) -> Packed:
    """Return a matrix to be filled; outputs that fill up its last block of 16 are zero.

    Args:
        scheme: what the codes stand for.
        outputs: rows of the weight.
        inputs: columns of the weight.
        allocate: (shape, dtype=…) to a tensor, for memory on large pages or in a file.
        nested: whether its scales are quantized again; None as the scheme says.

    Raises:
        CheckpointError: the shape cannot be packed.
    """
    reason = supported(outputs, inputs)
    if reason:
        raise CheckpointError(f"A matrix of {outputs} × {inputs} cannot be packed: {reason}.", "Leave it in bfloat16.")
    blocks, groups = -(-outputs // BLOCK), inputs // GROUP
    double = scheme.nested if nested is None else nested
    nibbles = allocate((blocks, groups, BLOCK * GROUP // 2), dtype=torch.uint8)
    scales = allocate((blocks, groups, BLOCK), dtype=torch.uint8 if double else torch.bfloat16)
    sizes = allocate((1 + -(-outputs * groups // RUN),), dtype=torch.float32) if double else None
    if outputs % BLOCK:
        nibbles[-1].zero_()
        scales[-1].zero_()
    return Packed(scheme=scheme, outputs=outputs, inputs=inputs, nibbles=nibbles, scales=scales, nested=sizes)


def quantize(weight: Tensor, scheme: Scheme, *, allocate: Allocate = torch.empty, variant: str | None = None) -> Packed:
    """Quantize ``weight`` (outputs, inputs), group by group.

    NF4's codes are those of bitsandbytes' ``quantize_4bit`` with blocks of 64, and its scales are quantized again as
    there; those of other schemes are kept in bfloat16, which is exact for bfloat16 weights.

    Args:
        weight: on the CPU, in any floating dtype.
        scheme: what the codes stand for.
        allocate: where the result goes, see ``empty``.
        variant: name of the library's variant to use; None for the best. The result is the same.

    Raises:
        CheckpointError: the shape cannot be packed.
    """
    packed = empty(scheme, weight.shape[0], weight.shape[1], allocate)
    scales = _encode(weight, packed, variant)
    if packed.nested is not None:
        scales, nested = nest(scales)
        packed.nested.copy_(nested)
    to_blocks(scales, packed.outputs, packed.scales)
    return packed


def encode(weight: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """Return codes as ``unpack`` does and scales (outputs * groups,) in float32 of a weight that is not to be packed.

    Raises:
        CheckpointError: the shape cannot be packed.
    """
    packed = empty(scheme, weight.shape[0], weight.shape[1])
    scales = _encode(weight, packed, None)
    return unpack(packed), scales


def _encode(weight: Tensor, packed: Packed, variant: str | None) -> Tensor:
    """Fill in the nibbles; return the scales in float32, in the order of the rows."""
    weight = (weight if weight.dtype in TYPES else weight.float()).contiguous()
    midpoints, library = torch.tensor(packed.scheme.midpoints), load()
    scales = torch.empty(packed.outputs * packed.inputs // GROUP)
    library.functions.products_quantize(
        library.index(variant),
        weight.data_ptr(),
        TYPES[weight.dtype],
        midpoints.data_ptr(),
        packed.scheme.mirrored,
        packed.outputs,
        packed.inputs,
        packed.nibbles.data_ptr(),
        scales.data_ptr(),
        torch.get_num_threads(),
    )
    return scales


def pack(
    codes: Tensor, scales: Tensor, scheme: Scheme, shape: tuple[int, int], *, nested: Tensor | None = None
) -> Packed:
    """Take over weights that are quantized already.

    Args:
        codes: bytes of two codes each, the first in the high nibble, in the order of the rows of the weight; any shape
            (bitsandbytes' ``weight``).
        scales: one number for each 64 weights, in the same order, any shape (bitsandbytes' ``absmax``).
        scheme: what the codes stand for.
        shape: (outputs, inputs) of the weight.
        nested: where ``scales`` are quantized again, what belongs to them, see ``scales.nest``.

    Raises:
        CheckpointError: the shape cannot be packed, or codes or scales are of another size.
    """
    packed = empty(scheme, *shape, nested=nested is not None)
    if codes.numel() * 2 != shape[0] * shape[1] or scales.numel() * GROUP != shape[0] * shape[1]:
        raise CheckpointError(
            f"A matrix of {shape[0]} × {shape[1]} has {codes.numel()} bytes of codes and {scales.numel()} scales.",
            "Fetch the model again.",
        )
    codes = codes.view(torch.uint8).contiguous()
    load().functions.products_pack(codes.data_ptr(), *shape, packed.nibbles.data_ptr(), torch.get_num_threads())
    to_blocks(scales, packed.outputs, packed.scales)
    if packed.nested is not None and nested is not None:
        packed.nested.copy_(nested)
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


def scales_of(packed: Packed) -> Tensor:
    """Return the scales in float32, (outputs * groups,), in the order of the rows."""
    scales = from_blocks(packed.scales, packed.outputs)
    return scales.float() if packed.nested is None else numbers(scales, packed.nested)


def dequantize(packed: Packed, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the weights as numbers, (outputs, inputs): the exact levels times the scales."""
    weight = torch.empty(packed.outputs, packed.inputs, dtype=dtype if dtype in TYPES else torch.float32)
    nibbles, scales = packed.nibbles.contiguous(), scales_of(packed)
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
