"""The commands typed in a chat: one table for dispatch and help. Knows no model."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.ui.repl import Repl


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """One row: what is typed, what the help says, what happens with the words after it."""

    name: str
    summary: str
    run: Callable[[Repl, str], None]


def _help(repl: Repl, _words: str) -> None:
    for command in COMMANDS:
        repl.console.line(f"{command.name:<8} {command.summary}")
    repl.console.line(
        "Ctrl-C stops an answer, twice leaves. Ctrl-D leaves. //text sends a line that begins with a slash."
    )


def _exit(repl: Repl, _words: str) -> None:
    repl.is_over = True


COMMANDS = (
    SlashCommand("/help", "Show these commands.", _help),
    SlashCommand("/exit", "Leave the chat.", _exit),
)


def run(line: str, repl: Repl) -> None:
    """Run the command that ``line`` names.

    Raises:
        UsageError: there is none of that name; it never reaches the model.
    """
    name, _, words = line.strip().partition(" ")
    found = [command for command in COMMANDS if command.name == name]
    if not found:
        near = difflib.get_close_matches(name, [command.name for command in COMMANDS], n=1)
        hint = f"Did you mean {near[0]}?" if near else "/help lists the commands; // sends a slash."
        raise UsageError(f"There is no command {name}.", hint)
    found[0].run(repl, words)
