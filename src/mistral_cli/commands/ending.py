"""How a signal ends the program: by an exception that unwinds it, and again where a library swallowed that.

Importing torch runs code that catches everything: what comes meanwhile would be lost. Knows no command.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Final


@dataclass(slots=True)
class Ending:
    """The signal that told this process to end."""

    number: int | None = None

    def strike(self, number: int, _frame: FrameType | None) -> None:
        """Take note of a signal and unwind the program: the handler."""
        self.number = number
        self.check()

    def check(self) -> None:
        """Unwind again if a signal came and its exception got lost.

        Raises:
            KeyboardInterrupt: it was Ctrl-C.
            SystemExit: it was another.
        """
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.number is not None:
            raise SystemExit(128 + self.number)

    def outlive_ctrl_c(self) -> None:
        """Forget Ctrl-C where the program goes on after it; any other signal still ends it."""
        if self.number == signal.SIGINT:
            self.number = None


ENDING: Final = Ending()
"""Signals belong to the process, and so does this."""


def unwind_on(*names: str) -> None:
    """Let these signals unwind the program, so that terminals and files are put right; ignored ones stay ignored."""
    for name in names:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, ENDING.strike)


@contextlib.contextmanager
def unwinding_on_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C unwind the block; where it is ignored (``nohup``, a background job) it stays so."""
    before = signal.getsignal(signal.SIGINT)
    if before not in (signal.SIG_DFL, signal.default_int_handler):
        yield
        return
    signal.signal(signal.SIGINT, ENDING.strike)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
