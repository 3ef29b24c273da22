"""The most memory that was held at once, watched from a thread of its own. Knows no training."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import torch

from mistral_cli.engine.host_memory import peak_resident
from mistral_cli.engine.reclaim import reclaimable

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVERY = 0.05
"""Seconds between two looks; what is allocated for less is small beside what a pass keeps."""


class Memory:
    """Remembers the most; ``look`` is called again and again."""

    def __init__(self) -> None:
        self._most = 0

    def look(self) -> None:
        """Take note of what is held now."""
        self._most = max(self._most, reclaimable(torch.device("cpu")))

    def peak(self) -> int:
        """Return the most bytes held at once: on the GPU where there is one, else by this process, files left out."""
        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
        return self._most or peak_resident()  # the system tells of one, but not of the other


@contextlib.contextmanager
def watched_memory() -> Iterator[Memory]:
    """Watch in this block."""
    memory, done = Memory(), threading.Event()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    watching = threading.Thread(target=_watch, args=(memory, done), daemon=True)
    watching.start()
    try:
        yield memory
    finally:
        done.set()
        watching.join()


def _watch(memory: Memory, done: threading.Event) -> None:
    memory.look()
    while not done.wait(_EVERY):
        memory.look()
