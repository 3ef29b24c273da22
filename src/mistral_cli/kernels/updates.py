"""Low-rank updates, added to products on the CPU. Knows tensors and the library; no module and no file.

All in float32, without gradients. What a row gets added depends on that row alone, in one order of sums: it is the same
alone and among others, on every processor.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mistral_cli.errors import OutOfMemoryError
from mistral_cli.kernels.library import load
from mistral_cli.kernels.schemes import GROUP

if TYPE_CHECKING:
    from collections.abc import Sequence

_UPDATE = struct.Struct("@3qd")
_CALL = struct.Struct("@9q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What the product of a layer gets added: ``factor * up(down(x))``."""

    down: Tensor
    """(rank, inputs)."""
    up: Tensor
    """(outputs, rank), as ``readable`` wants it: numbers of one rank side by side."""
    factor: float


def readable(update: Update) -> bool:
    """Return whether the functions here can read it: float32 on the CPU, in the order of ``Update``."""
    down, up = update.down, update.up
    return (
        down.dtype == up.dtype == torch.float32
        and down.device.type == up.device.type == "cpu"
        and down.shape[1] % GROUP == 0
        and down.is_contiguous()
        and up.T.is_contiguous()
    )


def pack(updates: Sequence[Update]) -> array[int]:
    """Return what ``csrc/updates.h`` calls updates, one after the other; the tensors must outlive the result."""
    words = [
        _UPDATE.pack(update.down.data_ptr(), update.up.data_ptr(), len(update.down), update.factor)
        for update in updates
    ]
    return array("q", b"".join(words))


def address(packed: array[int]) -> tuple[int, int]:
    """Return where packed updates are, and how many; they must stay as they are while they are read."""
    start, words = packed.buffer_info()
    return start, words * packed.itemsize // _UPDATE.size


def add_(
    results: Sequence[Tensor], x: Tensor, updates: Sequence[Sequence[Update]], *, variant: str | None = None
) -> None:
    """Add to each of ``results``, in place, what its updates make of ``x``.

    Args:
        results: products of ``x``, (…, outputs) each, float32 and contiguous.
        x: (…, inputs), float32.
        updates: of each result, see ``readable``.
        variant: name of the variant to use; None for the best.

    Raises:
        ValueError: a matrix that does not fit ``x`` or its result, or cannot be read.
        OutOfMemoryError: no memory for the rows between down and up.
    """
    library, rows, calls, held = load(), x.reshape(-1, x.shape[-1]).contiguous(), b"", []
    for result, own in zip(results, updates, strict=True):
        for update in own:
            _check(update, rows, result)
        packed = pack(own)
        outputs = result.shape[-1]
        sizes = (rows.data_ptr(), result.data_ptr(), len(rows), outputs, rows.shape[1])
        calls += _CALL.pack(library.index(variant), torch.get_num_threads(), *sizes, *address(packed))
        held.append(packed)  # until the call is over
    if library.functions.updates_add(calls, len(held)):
        raise OutOfMemoryError(f"No memory for {len(rows)} rows of updates.", "Use a smaller batch.")


def _check(update: Update, rows: Tensor, result: Tensor) -> None:
    wanted = (len(update.down), rows.shape[1]), (result.shape[-1], len(update.down))
    fits = (tuple(update.down.shape), tuple(update.up.shape)) == wanted and result.numel() == len(rows) * wanted[1][0]
    if not (fits and readable(update) and rows.dtype == result.dtype == torch.float32 and result.is_contiguous()):
        raise ValueError(f"{wanted[0]} and {wanted[1]} are wanted, in float32, each as it is read")
