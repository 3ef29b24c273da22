"""Whole layers of a decoder in one call of the library. Knows packed weights and addresses; no module of a model.

What is computed is what ``elementwise``, ``products``, ``updates`` and ``attention`` compute one at a time, in the same
order: the bits are the same. It exists because between two products, which send gigabytes past the processor's caches,
every line of Python costs ten times what it costs elsewhere.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mistral_cli.errors import OutOfMemoryError
from mistral_cli.kernels import attention, updates
from mistral_cli.kernels.library import load
from mistral_cli.kernels.packing import TYPES
from mistral_cli.kernels.products import levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistral_cli.kernels.attention import Held
    from mistral_cli.kernels.linear import PackedLinear

_LAYER = struct.Struct("@" + "6qd2q" * 7 + "4q2dq")
_PASS = struct.Struct("@17q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of a model's layers."""

    dim: int
    hidden_dim: int
    heads: int
    kv_heads: int
    head_dim: int

    def floats(self, rows: int) -> int:
        """Return how many numbers are kept on the way, for so many rows."""
        return rows * (self.dim + 2 * self.hidden_dim + 2 * (self.heads + self.kv_heads) * self.head_dim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Where a row of the batch is: the position of its first token, cosines and sines (T, D) of all of them."""

    start: int
    cos: Tensor
    sin: Tensor


def pack_layer(
    linears: Sequence[PackedLinear],
    added: Sequence[array[int]],
    norms: Sequence[tuple[Tensor, float]],
    window: int | None,
) -> bytes:
    """Return one ``Layer`` of ``csrc/layers.cpp``; all that is given here must outlive it.

    Args:
        linears: query, key, value, out, gate, up, down.
        added: what ``updates.pack`` made of the updates of each of them.
        norms: weight (float32 or bfloat16) and eps of that before attention and that before the feed-forward block.
        window: W, or None.
    """
    words: list[float] = []
    for layer, own in zip(linears, added, strict=True):
        address, step = levels(layer.scheme, layer.fine)
        words += (
            layer.nibbles.data_ptr(),
            layer.scales.data_ptr(),
            0 if layer.nested is None else layer.nested.data_ptr(),
            address,
            layer.out_features,
            layer.in_features,
            step,
            *updates.address(own),
        )
    for weight, _ in norms:
        words += (weight.data_ptr(), TYPES[weight.dtype])
    return _LAYER.pack(*words, *(eps for _, eps in norms), window or 0)


def run(
    layers: Sequence[bytes],
    stream: Tensor,
    rows: Sequence[Row],
    caches: Sequence[Held],
    sizes: Sizes,
) -> None:
    """Put ``stream`` through layers, in place; keys and values are written to the caches.

    Args:
        layers: of each, what ``pack_layer`` made.
        stream: (B, T, dim) float32, contiguous.
        rows: B of them.
        caches: for each layer, for each row; keys and values (1, H_kv, slots, D) of one dtype, the first position is
            that of slot 0, and there is room for the T tokens.
        sizes: of the layers.

    Raises:
        OutOfMemoryError: no memory for what is computed on the way.
    """
    batch, tokens, _ = stream.shape
    library, scratch = load(), torch.empty(sizes.floats(batch * tokens), dtype=torch.float32)
    words = array("q", b"".join(layers))
    where = array("q", [word for row in rows for word in (row.start, row.cos.data_ptr(), row.sin.data_ptr())])
    held = array("q")
    for cache in caches:
        held.extend(_words(cache))
    call = _PASS.pack(
        library.index(),
        attention.best(),
        torch.get_num_threads(),
        words.buffer_info()[0],
        len(layers),
        where.buffer_info()[0],
        batch,
        held.buffer_info()[0],
        attention.TYPES[caches[0].keys.dtype],
        stream.data_ptr(),
        scratch.data_ptr(),
        tokens,
        sizes.dim,
        sizes.hidden_dim,
        sizes.heads,
        sizes.kv_heads,
        sizes.head_dim,
    )
    if library.functions.layers_pass(call):
        raise OutOfMemoryError(f"No memory for {batch * tokens} tokens.", "Use a smaller batch.")


def _words(cache: Held) -> tuple[int, ...]:
    """Return one ``Cache`` of ``csrc/layers.cpp``."""
    keys, values = cache.keys, cache.values
    if cache.scales is None:
        return keys.data_ptr(), values.data_ptr(), keys.stride(1), 0, 0, 0, cache.first
    of_keys, of_values = cache.scales
    scales = of_keys.data_ptr(), of_values.data_ptr(), of_keys.stride(1)
    return keys.data_ptr(), values.data_ptr(), keys.stride(1), *scales, cache.first
