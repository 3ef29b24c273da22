"""What quantized weights take, counted without torch: for those who only want to tell it.

The bytes are those of the methods that a CPU gets (``weights.methods``), whose layouts these few formulas repeat; a
test compares the two for every shape of a model.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mistral_cli.kernels.schemes import GROUP, NF4

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mistral_cli.model.args import ModelArgs

KEPT = ("embed_tokens.weight", "block_sparse_moe.gate.weight")
"""How the names of matrices end that are not quantized: a wrong choice of a router costs more than a wrong digit."""

_SIXTEEN_BITS = 2


def is_matrix_to_quantize(name: str, shape: tuple[int, ...]) -> bool:
    """Tell whether a tensor is one that a quantization replaces, as far as its name and its axes say."""
    return len(shape) == 2 and not name.endswith(KEPT)


def _four_bits(outputs: int, inputs: int) -> int | None:
    """NF4 as our kernels read it."""
    if not outputs or not inputs or inputs % GROUP:
        return None
    return NF4.packed_bytes(outputs, inputs)


def _eight_bits(outputs: int, inputs: int) -> int | None:
    """A byte a number and a scale a row (``weights/torch_int8.py``)."""
    if not outputs or not inputs or outputs % 16 or inputs % 32:
        return None
    return outputs * inputs + _SIXTEEN_BITS * outputs


def _four_bits_as_they_come(outputs: int, inputs: int) -> int | None:
    """Half a byte a number and a scale in 32 bits for 64 of them (``weights/bitsandbytes_4bit.py``)."""
    return -(-outputs * inputs // 2) + 4 * -(-outputs * inputs // GROUP)


_BYTES: dict[str, Callable[[int, int], int | None]] = {
    "int8": _eight_bits,
    "nf4": _four_bits,
    "fp4": _four_bits_as_they_come,
}
"""Scheme -> the bytes of a matrix of (outputs, inputs); None where it stays as it is."""

SIZED = ("int8", "nf4")
"""The schemes that we quantize to and can be counted, the largest first; ``int4`` takes 3 % more than ``nf4``."""


def quantized_size(args: ModelArgs, scheme: str, kept: Collection[str] = ()) -> int:
    """Return the bytes of all weights on a CPU, quantized where they can be and 16 bits a number where not.

    ``kept`` are the names of tensors that stay as they are, whatever their shape.
    """
    total = 0
    for name, shape in args.tensor_shapes().items():
        can_be = is_matrix_to_quantize(name, shape) and name not in kept
        packed = _BYTES[scheme](shape[0], shape[1]) if can_be else None
        total += _SIXTEEN_BITS * math.prod(shape) if packed is None else packed
    return total
