"""One key, without Enter, from whoever sits at the terminal. Knows no question."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def read_key(ask: Callable[[], None]) -> str:
    """Return the key that is pressed once ``ask`` has shown the question; empty at the end of input.

    Keys that were pressed before are dropped: they were not meant for it. Of a key that sends several bytes (an arrow)
    none is left behind, and the first is returned. Ctrl-C is a key, too, and ends nothing.
    """
    if sys.platform == "win32":
        import msvcrt

        ask()
        return msvcrt.getwch()
    import termios

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    keys = [*before[:3], before[3] & ~(termios.ECHO | termios.ICANON | termios.ISIG), *before[4:]]
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, keys)
    try:
        ask()
        return _read(descriptor)
    finally:
        with contextlib.suppress(termios.error):  # the window was closed
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


def _read(descriptor: int) -> str:
    import select

    first = os.read(descriptor, 1)
    if first == b"\x1b" or first >= b"\x80":
        while select.select([descriptor], [], [], 0)[0] and os.read(descriptor, 16):
            pass
    return first.decode(errors="replace")
