"""What is typed while an answer comes is not echoed into it: the keys wait for the next prompt. Knows no command."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def unechoed() -> Iterator[None]:
    """While entered, the terminal at stdin shows no keys, ``^C`` among them; nothing where there is none of ours."""
    descriptor = _own_terminal()
    if descriptor is None:
        yield
        return
    import termios

    before = termios.tcgetattr(descriptor)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(descriptor, termios.TCSANOW, silent)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # the window was closed
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


def _own_terminal() -> int | None:
    """Return stdin where it is a terminal whose keys are ours: a background job that touched it would be stopped."""
    if sys.platform == "win32" or sys.stdin is None:
        return None
    try:
        descriptor = sys.stdin.fileno()
        return descriptor if os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except (OSError, ValueError):
        return None
