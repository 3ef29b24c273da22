"""A sign of life while nothing comes: a turning mark before a text, drawn by a thread of its own. Knows no stream."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 0.3
"""Seconds without it: what is over by then needs none."""
_BETWEEN = 0.1
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Spinner:
    """Turns from 0.3 seconds after it was made until it is stopped.

    Args:
        text: what stands behind the mark; may be replaced at any time.
        draw: shows one line, called by the thread.
    """

    def __init__(self, text: str, draw: Callable[[str], None]) -> None:
        self.text = text
        self._draw = draw
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._turn, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Draw no more; nothing is being drawn when this returns."""
        self._over.set()
        self._thread.join()

    def _turn(self) -> None:
        if self._over.wait(PATIENCE):
            return
        for frame in itertools.cycle(_FRAMES):
            self._draw(f"{frame} {self.text}")
            if self._over.wait(_BETWEEN):
                return
