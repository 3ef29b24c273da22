"""Memory for weights. Knows no files and no names."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mistral_cli.errors import OutOfMemoryError


def allocate(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return an uninitialized tensor.

    On ordinary pages: large ones were measured. They load twice as fast into free memory and five times as slowly into
    memory that holds the file's own cached pages, which have to be moved out of the way.

    Raises:
        OutOfMemoryError: the device has no room for it.
    """
    try:
        return torch.empty(shape, dtype=dtype, device=device)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise _too_little(shape, dtype, device) from error
        raise


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether torch found no memory: CUDA has an error of its own, the CPU and Apple's GPUs only their words."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _NO_MEMORY)


_NO_MEMORY = ("allocate memory", "out of memory", "bad_alloc")


def _too_little(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> OutOfMemoryError:
    nbytes = math.prod(shape) * dtype.itemsize
    message = f"There is no room on {device} for the next tensor of the model ({nbytes:,} bytes)."
    return OutOfMemoryError(message, "Close other programs, or choose a smaller model or --dtype bfloat16.")
