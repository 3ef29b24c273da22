"""A SIGINT as the key Ctrl-C, from before a line is read until after it: none is lost, none breaks what is half made.

A terminal that is not read key by key sends the signal, as other programs do. Knows no chat.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING

from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prompt_toolkit.application import Application


class Strikes:
    """Those of one keyboard. Outside the main thread, and where SIGINT is ignored, it changes nothing."""

    def __init__(self) -> None:
        self._waits = False
        self._holds = False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While entered, a signal waits until ``press_in`` or ``take`` is called.

        As an exception it would strike inside asyncio, whose loop may be half made and complains on the screen.
        """
        if (
            threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        ):
            yield
            return
        before = signal.signal(signal.SIGINT, lambda _number, _frame: self._wait())
        self._holds = True
        try:
            yield
        finally:
            self._holds = False
            signal.signal(signal.SIGINT, before)

    def press_in(self, app: Application[str]) -> None:
        """Press the key in ``app``, which runs in this task, for the signal that waits and for those that come.

        prompt-toolkit's own handler has a context from before the application was set, in which no key means anything.
        """

        def press() -> None:
            if app.is_done:
                self._wait()
                return
            app.key_processor.feed(KeyPress(Keys.ControlC), first=True)
            app.key_processor.process_keys()

        loop = asyncio.get_running_loop()
        if self._holds and sys.platform != "win32":
            loop.add_signal_handler(signal.SIGINT, press)
        if self.take():
            loop.call_soon(press)

    def take(self) -> bool:
        """Tell whether a signal waits, and let it wait no more."""
        waits, self._waits = self._waits, False
        return waits

    def _wait(self) -> None:
        self._waits = True
