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
    except torch.OutOfMemoryError as error:
        raise _too_little(shape, dtype, device) from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):  # how torch's allocator for the CPU says it
            raise
        raise _too_little(shape, dtype, device) from error


def _too_little(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> OutOfMemoryError:
    nbytes = math.prod(shape) * dtype.itemsize
    message = f"There is no room on {device} for the next tensor of the model ({nbytes:,} bytes)."
    return OutOfMemoryError(message, "Close other programs, or choose a smaller model or --dtype bfloat16.")
