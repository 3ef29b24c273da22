"""What would be free if this process gave its model up: for whoever wants another in its place. Knows no model."""

from __future__ import annotations

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
