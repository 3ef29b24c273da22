"""What stands between the products, on the CPU: norm, gate, rotary turn. Knows tensors and the library; no module.

All in float32, without gradients. Every row of a result depends on that row alone, in one order of sums: it is the same
alone and among others, on every processor.
"""

from __future__ import annotations

import struct

import torch
from torch import Tensor

from mistral_cli.kernels.library import load
from mistral_cli.kernels.packing import TYPES

_NORM = struct.Struct("@8qd")
_GATE = struct.Struct("@4q")
_PLACE = struct.Struct("@32q")


def readable(states: Tensor) -> bool:
    """Return whether the functions here can read it: float32 or bfloat16 on the CPU."""
    return states.dtype in TYPES and states.device.type == "cpu"


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Return ``weight * x / rms(x)`` in float32, the norm of Zhang and Sennrich (arXiv:1910.07467).

    Args:
        x: (…, dim), float32 or bfloat16.
        weight: (dim,), float32 or bfloat16.
        eps: added to the mean of the squares.
    """
    x, weight = x.contiguous(), weight.contiguous()
    result = torch.empty(x.shape, dtype=torch.float32)
    width = x.shape[-1]
    call = _NORM.pack(
        x.data_ptr(),
        TYPES[x.dtype],
        weight.data_ptr(),
        TYPES[weight.dtype],
        result.data_ptr(),
        x.numel() // width,
        width,
        torch.get_num_threads(),
        eps,
    )
    load().functions.elementwise_norm(call)
    return result


def gate_(gate: Tensor, up: Tensor) -> Tensor:
    """Put ``silu(gate) * up`` into ``gate`` and return it; both float32, of one shape, contiguous."""
    call = _GATE.pack(gate.data_ptr(), up.data_ptr(), gate.numel(), torch.get_num_threads())
    load().functions.elementwise_gate(call)
    return gate


def turn_and_write(
    states: tuple[Tensor, Tensor, Tensor], angles: tuple[Tensor, Tensor], cache: tuple[Tensor, Tensor], slot: int
) -> Tensor:
    """Turn the queries and keys of one row to their positions; write keys and values to a cache; return the queries.

    Args:
        states: queries (H, T, D), keys and values (H_kv, T, D), float32 or bfloat16, numbers of one head side by side.
        angles: cosines and sines (T, D) as ``RotaryTable`` makes them, float32, contiguous.
        cache: its keys and values (H_kv, slots, D), float32 or bfloat16.
        slot: where the first of the T is written.

    Returns:
        (H, T, D) float32, the transpose of a contiguous (T, H, D).
    """
    query, key, value = states
    heads, steps, width = query.shape
    turned = torch.empty(steps, heads, width, dtype=torch.float32).transpose(0, 1)
    call = _PLACE.pack(
        *_heads(query, turned, 0),
        *_heads(key, cache[0], slot),
        *_heads(value, cache[1], slot),
        angles[0].data_ptr(),
        angles[1].data_ptr(),
        steps,
        width,
        torch.get_num_threads(),
    )
    load().functions.elementwise_place(call)
    return turned


def _heads(states: Tensor, to: Tensor, slot: int) -> tuple[int, ...]:
    """Return one ``Heads`` of ``csrc/elementwise.cpp``."""
    start = to.data_ptr() + slot * to.stride(1) * to.itemsize
    return (
        states.data_ptr(),
        TYPES[states.dtype],
        *states.stride()[:2],
        start,
        TYPES[to.dtype],
        *to.stride()[:2],
        len(to),
    )
