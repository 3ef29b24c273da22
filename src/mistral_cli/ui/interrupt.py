"""Ctrl-C as a flag that a running answer looks at, so that what was said is kept. Knows no command."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from typing import TYPE_CHECKING

from mistral_cli.ui.echo import unechoed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Self

_UNWINDING = ("SIGHUP", "SIGTERM", "SIGINT")


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """Let no signal unwind the block: what comes meanwhile strikes when it is left.

    Signals that are ignored, or end the process at once, stay what they are; outside the main thread nothing changes.
    """
    came: list[int] = []
    try:
        with contextlib.ExitStack() as handlers:  # each is put back even where a signal strikes as another is
            if threading.current_thread() is threading.main_thread():
                for number in (getattr(signal, name) for name in _UNWINDING if hasattr(signal, name)):
                    handler = signal.getsignal(number)
                    if callable(handler):
                        handlers.callback(signal.signal, number, handler)
                        signal.signal(number, lambda number, _frame: came.append(number))
            yield
    finally:  # also where the block failed: whoever told the program to end has told it
        for number in came:
            signal.raise_signal(number)


class Interrupt:
    """While entered: the first Ctrl-C sets the flag, a second one within ``window`` seconds leaves.

    No key shows in the answer meanwhile, ``^C`` neither. Outside the main thread it changes nothing, and where Ctrl-C
    is ignored (``nohup``, a background job), Ctrl-C stays so.
    """

    def __init__(self, window: float = math.inf) -> None:
        self.window = window
        self.last: float | None = None
        """When Ctrl-C last came, on the monotonic clock."""
        self._flag = threading.Event()
        self._before: object = signal.SIG_IGN
        self._keys = contextlib.ExitStack()

    def is_set(self) -> bool:
        """Tell whether Ctrl-C came since this was entered."""
        return self._flag.is_set()

    def strike(self) -> None:
        """Take note of one Ctrl-C.

        Raises:
            KeyboardInterrupt: it is the second within the window.
        """
        now = time.monotonic()
        last, self.last = self.last, now
        if last is not None and now - last <= self.window:
            raise KeyboardInterrupt
        self._flag.set()

    def forget(self) -> None:
        """Count anew: something else was done since Ctrl-C came last."""
        self.last = None

    def __enter__(self) -> Self:
        self._flag.clear()
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            if self._before is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, self._on_signal)
            self._keys.enter_context(unechoed())
        return self

    def __exit__(self, *_: object) -> None:
        self._keys.close()
        if self._before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.strike()
