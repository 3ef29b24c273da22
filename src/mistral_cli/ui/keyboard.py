"""The line a person types, with history. Knows prompt-toolkit, and nothing of what is done with the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.output import ColorDepth, create_output

from mistral_cli.ui.history import PrivateHistory

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.ui.console import Console

PROMPT = "> "


class Keyboard:
    """Reads lines from the terminal; the terminal is as it was whenever nothing is being read."""

    def __init__(self, console: Console, history: Path) -> None:
        output = create_output()
        # Terminals that do not answer where the cursor is would be told off on the screen.
        output.enable_cpr = False  # type: ignore[attr-defined]
        self._session: PromptSession[str] = PromptSession(
            history=PrivateHistory(history, console.warning),
            output=output,
            color_depth=None if console.out.color else ColorDepth.DEPTH_1_BIT,
            enable_suspend=True,
        )
        self._prompt = FormattedText([("bold ansigreen" if console.out.color else "", PROMPT)])

    def read(self) -> str:
        """Return the next line.

        Raises:
            EOFError: Ctrl-D.
            KeyboardInterrupt: Ctrl-C.
        """
        return self._session.prompt(self._prompt)
