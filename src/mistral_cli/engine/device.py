"""Which device to compute on. Asks torch what there is; moves nothing."""

from __future__ import annotations

import torch

from mistral_cli.errors import UsageError

KINDS = ("cuda", "mps", "cpu")
"""From the most wanted to the one that is always there."""


def choose_device(asked: str | None = None) -> torch.device:
    """Return the device that was asked for; ``auto`` and None take the first there is of cuda, mps and cpu.

    Raises:
        UsageError: no such device here; the message says why.
    """
    if asked is None or asked == "auto":
        return torch.device(next(kind for kind in KINDS if _count(kind)))
    try:
        device = torch.device(asked)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in KINDS:
        raise UsageError(f"--device is {asked!a:.40}, but must be auto, cpu, cuda, cuda:N or mps.")
    if (device.index or 0) >= _count(device.type):
        raise UsageError(f"--device {asked} cannot be used: {_reason(device.type)}", "Leave it out, or use cpu.")
    return device


def _count(kind: str) -> int:
    """Return how many devices of this kind can be used."""
    if kind == "cuda":
        return torch.cuda.device_count()
    return int(torch.backends.mps.is_available()) if kind == "mps" else 1


def _reason(kind: str) -> str:
    """Say why there are not so many."""
    count = _count(kind)
    if count:
        return f"there {'is one' if count == 1 else f'are {count}'} of that kind, counted from 0."
    if kind == "mps":
        return "this machine has no Apple GPU that torch can use."
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} was installed without support for GPUs."
    return "no GPU was found; nvidia-smi tells whether the driver sees one."
