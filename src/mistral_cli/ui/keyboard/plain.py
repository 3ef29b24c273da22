"""Lines where the cursor cannot be moved (``TERM=dumb``): the terminal's own editing, plain text only."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mistral_cli.ui.console import Console
    from mistral_cli.ui.history import KeptHistory

PROMPT = "> "


class PlainKeyboard:
    """Reads lines as the terminal hands them over."""

    def __init__(self, console: Console, history: KeptHistory) -> None:
        self._console = console
        self._history = history

    def read(self) -> str:
        """Return the next line.

        Raises:
            EOFError: Ctrl-D.
            KeyboardInterrupt: Ctrl-C.
        """
        self._console.answer(PROMPT)
        line = sys.stdin.buffer.readline().decode(errors="replace")
        if not line:
            self._console.answer("\n")
            raise EOFError
        line = line.rstrip("\r\n")
        if line.strip():
            self._history.append_string(line)
        return line
