"""Attention of queries to cached keys and values on the CPU. Knows tensors and the library; no module and no model.

Every query's result depends on that query and the keys that it sees alone (``csrc/attention.h`` says how): whole,
chunked, reused and batched, on any number of threads, the bits are the same. Scores, weights' sums and results are
float32; where keys are bfloat16 or codes, queries and weights are rounded to bfloat16 for the processor's products.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mistral_cli.errors import OutOfMemoryError
from mistral_cli.kernels.library import FORCE, KernelUnavailableError, isa, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

WIDEST = 256
"""Numbers in a head at most."""
TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.int8: 2}
_CALL = struct.Struct("@12qd")
_SEQUENCE = struct.Struct("@10q")
_KEEP = struct.Struct("@12q")
_FOR_PRODUCTS = {"avx2": "avx2", "avx-vnni": "avx2", "portable": "portable"}
"""A variant of the products -> the one of attention to go with it; for others, the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The keys and values that one or more rows of queries attend to."""

    keys: Tensor
    """(B, H_kv, S, D) float32, bfloat16 or int8 codes; the rows of a head are contiguous."""
    values: Tensor
    """As ``keys``."""
    scales: tuple[Tensor, Tensor] | None
    """Of codes: those of keys and of values, (B, H_kv, S, 1) float32."""
    first: int
    """Position of the first key."""
    start: int
    """Position of the first query; the keys reach up to the last one's."""


def variants() -> tuple[str, ...]:
    """Return the names of those that this processor has, the best first."""
    names: list[str] = []
    while name := load().functions.attention_variant(len(names)):
        names.append(name.decode())
    return tuple(names)


@functools.cache
def best() -> int:
    """Return the number of the variant to use: the first, unless a lesser one is forced."""
    there = variants()
    return there.index(_FOR_PRODUCTS.get(isa(), there[0]))


def _index(variant: str | None) -> int:
    if variant is None:
        return best()
    if variant not in variants():
        message = f"Attention on the CPU has no variant {variant!r} here."
        raise KernelUnavailableError(message, f"There are: {', '.join(variants())}. {FORCE} chooses for all kernels.")
    return variants().index(variant)


def readable(query: Tensor, held: Sequence[Held]) -> bool:
    """Return whether ``attend`` can compute with these."""
    return (
        query.dtype in (torch.float32, torch.bfloat16)
        and query.device.type == "cpu"
        and query.shape[3] <= WIDEST
        and all(part.keys.dtype in TYPES and part.keys.stride(2) == query.shape[3] for part in held)
    )


def attend(query: Tensor, held: Sequence[Held], *, window: int | None = None, variant: str | None = None) -> Tensor:
    """Return the values (B, H, T, D) that each query sees, weighted by the softmax of its scores over the root of D.

    A query at a position sees the keys up to that position; with a window W, the last W of them.

    Args:
        query: (B, H, T, D), float32 or bfloat16.
        held: for as many rows each as come to one of them; the queries of all have T tokens.
        window: W, or None.
        variant: name of the variant to use; None for the best.

    Returns:
        in the dtype of ``query``, the transpose of a contiguous (B, T, H, D).

    Raises:
        OutOfMemoryError: no memory for what is computed on the way.
    """
    if query.stride(3) != 1:
        query = query.contiguous()
    rows, heads, tokens, width = query.shape
    result = torch.empty(rows, tokens, heads, width, dtype=query.dtype)
    library = load()
    call = _CALL.pack(
        _index(variant),
        torch.get_num_threads(),
        rows,
        TYPES[query.dtype],
        TYPES[held[0].keys.dtype],
        heads,
        held[0].keys.shape[1],
        tokens,
        width,
        query.stride(1),
        query.stride(2),
        window or 0,
        width**-0.5,
    )
    if library.functions.attention_attend(call, _sequences(query, result, held)):
        raise OutOfMemoryError(f"No memory for attention of {tokens} tokens.", "Use a smaller batch.")
    return result.transpose(1, 2)


def _sequences(query: Tensor, result: Tensor, held: Sequence[Held]) -> bytes:
    """Return one ``Sequence`` of ``csrc/attention.h`` for each row."""
    each, packed, at = len(query) // len(held), bytearray(), query.data_ptr()
    to, step, row_step = result.data_ptr(), query.stride(0) * query.itemsize, result.stride(0) * result.itemsize
    for part in held:
        keys, values = part.keys, part.values
        of_keys, of_values = part.scales or (None, None)
        for row in range(each):
            skipped = row * keys.stride(0) * keys.itemsize
            scale = 0 if of_keys is None else row * of_keys.stride(0) * 4
            packed += _SEQUENCE.pack(
                at,
                to,
                keys.data_ptr() + skipped,
                values.data_ptr() + skipped,
                0 if of_keys is None else of_keys.data_ptr() + scale,
                0 if of_values is None else of_values.data_ptr() + scale,
                keys.stride(1),
                0 if of_keys is None else of_keys.stride(1),
                part.first,
                part.start,
            )
            at, to = at + step, to + row_step
    return bytes(packed)


def keep(states: Tensor, codes: Tensor, scales: Tensor) -> None:
    """Write keys or values of one row as codes, as ``model.cache.quantize`` makes them.

    Args:
        states: (H_kv, T, D), float32 or bfloat16, the numbers of a head side by side.
        codes: where they go, (H_kv, T, D) int8, the rows of a head contiguous.
        scales: as ``codes``, (H_kv, T, 1) float32.
    """
    heads, steps, width = states.shape
    load().functions.attention_keep(
        _KEEP.pack(
            states.data_ptr(),
            TYPES[states.dtype],
            *states.stride()[:2],
            codes.data_ptr(),
            scales.data_ptr(),
            codes.stride(0),
            scales.stride(0),
            heads,
            steps,
            width,
            torch.get_num_threads(),
        )
    )
