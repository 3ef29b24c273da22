"""How fast this machine reads memory: the limit of decoding, which reads every weight once a token.

A buffer that no cache holds is summed up, as 64-bit integers, by all of torch's threads (or the GPU): one addition per
eight bytes, so that nothing but the reading takes time. Knows no model.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from mistral_cli.measure.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

BUFFER = 2**30
"""Bytes: ten times the largest cache that most processors have."""

ROUNDS = 7


def read_bandwidth(device: torch.device, *, nbytes: int = BUFFER, rounds: int = ROUNDS) -> Figure:
    """Return bytes a second, measured ``rounds`` times. The most of them is what the machine can do."""
    buffer = torch.ones(nbytes // 8, dtype=torch.int64, device=device)
    _seconds(buffer.sum, device)  # so that every page is there, and every thread awake
    return Figure(tuple(_seconds(buffer.sum, device) for _ in range(rounds))).per(buffer.nbytes)


def _seconds(read: Callable[[], object], device: torch.device) -> float:
    """Time one call to its end, which on a GPU is later than its return."""
    started = time.perf_counter()
    read()
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter() - started
