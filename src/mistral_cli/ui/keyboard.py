"""The line a person types, with history. Knows prompt-toolkit, and nothing of what is done with the line."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.output import ColorDepth, create_output

from mistral_cli.ui.history import KeptHistory

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.chat.keeper import Keeper
    from mistral_cli.ui.console import Console

PROMPT = "> "


def open_keyboard(console: Console, keeper: Keeper) -> Callable[[], str]:
    """Return what reads the next line, with the input history that ``keeper`` keeps.

    It raises EOFError at Ctrl-D and KeyboardInterrupt at Ctrl-C.
    """
    history = KeptHistory(keeper)
    keyboard = (Keyboard if console.out.can_redraw else PlainKeyboard)(console, history)

    def read() -> str:
        line = keyboard.read()
        keeper.say()  # now: while the line was edited it would have been written into it
        return line

    return read


class Keyboard:
    """Reads lines with editing and history; the terminal is as it was whenever nothing is being read."""

    def __init__(self, console: Console, history: KeptHistory) -> None:
        # A signal that ends the program may strike inside prompt-toolkit's own task, which would log it on the screen
        # as a failure; whoever watches for signals raises it again.
        logging.getLogger("prompt_toolkit").addHandler(logging.NullHandler())
        output = create_output()
        # Terminals that do not answer where the cursor is would be told off on the screen.
        output.enable_cpr = False  # type: ignore[attr-defined]
        self._session: PromptSession[str] = PromptSession(
            history=history,
            output=output,
            color_depth=None if console.out.color else ColorDepth.DEPTH_1_BIT,
            enable_suspend=True,
        )
        self._prompt = FormattedText([("bold ansigreen" if console.out.color else "", PROMPT)])

    def read(self) -> str:
        """Return the next line."""
        return self._session.prompt(self._prompt)


class PlainKeyboard:
    """Reads lines where the cursor cannot be moved (``TERM=dumb``): the terminal's own editing, plain text only."""

    def __init__(self, console: Console, history: KeptHistory) -> None:
        self._console = console
        self._history = history

    def read(self) -> str:
        """Return the next line."""
        self._console.answer(PROMPT)
        line = sys.stdin.buffer.readline().decode(errors="replace")
        if not line:
            self._console.answer("\n")
            raise EOFError
        line = line.rstrip("\r\n")
        if line.strip():
            self._history.append_string(line)
        return line
