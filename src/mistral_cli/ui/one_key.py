"""One key, without Enter, from whoever sits at the terminal. Knows no question."""

from __future__ import annotations

import os
import sys


def read_key() -> str:
    """Return the next key that is pressed, of a special one how its code begins; empty at the end of input.

    Keys that were pressed before are dropped: they were not meant for this. Ctrl-C is Ctrl-C.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    if sys.platform == "win32":
        import msvcrt

        return msvcrt.getwch()
    import termios

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    keys = [*before[:3], before[3] & ~(termios.ECHO | termios.ICANON), *before[4:]]
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, keys)
    try:
        return os.read(descriptor, 16).decode(errors="replace")[:1]
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
