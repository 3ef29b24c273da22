"""What would be free if this process gave its model up, and that freed memory is free. Knows no model."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

STATUS = Path("/proc/self/status")


def reclaimable(device: torch.device) -> int:
    """Return about how many bytes of ``device`` this process holds, a few hundred megabytes too many at most.

    Of the host: memory of its own, not that of mapped files, which counts as free in any case. The interpreter and the
    libraries are in it, so that what does not fit even so is certain not to. 0 where the system does not tell.
    """
    if device.type == "cuda":
        import torch  # noqa: PLC0415 (only where there is something on a GPU)

        return torch.cuda.memory_reserved(device)
    return _anonymous(STATUS)


def _anonymous(status: Path) -> int:
    """Return the bytes of this process's own pages, as Linux counts them."""
    if sys.platform != "linux":
        return 0
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), 0)


_MMAP_THRESHOLD = -3
"""glibc's name of an option (``malloc.h``)."""


def give_back_at_once(nbytes: int = 2**21) -> None:
    """Let blocks of so many bytes or more go back to the system when they are freed; only glibc knows how.

    By itself it comes to keep those of up to 32 MB in its heap, where what a step of a training leaves for its way back
    stands between what it frees: a fourth of the memory that was measured was holes (1 billion parameters).
    """
    if sys.platform == "linux":
        option = getattr(ctypes.CDLL(None), "mallopt", None)
        if option is not None:
            option(_MMAP_THRESHOLD, nbytes)
