"""From a line that begins with a slash to the command it names. Knows no model."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError
from mistral_cli.ui.slash.table import COMMANDS

if TYPE_CHECKING:
    from mistral_cli.ui.repl import Repl


def run(line: str, repl: Repl) -> None:
    """Run the command that ``line`` names. ``/write! FILE`` is ``/write`` with the words ``! FILE``.

    Raises:
        UsageError: there is none of that name; it never reaches the model.
    """
    parts = line.strip().split(maxsplit=1)
    name, words = parts[0], "".join(parts[1:])
    if name.endswith("!"):
        name, words = name[:-1], f"! {words}"
    found = [command for command in COMMANDS if command.name == name]
    if not found:
        near = difflib.get_close_matches(name, [command.name for command in COMMANDS], n=1)
        hint = f"Did you mean {near[0]}?" if near else "/help lists the commands; // sends a slash."
        raise UsageError(f"There is no command {name:.60}.", hint)
    if not found[0].arguments and words:
        raise UsageError(f"{name} takes no words, but got {words!r:.60}.")
    found[0].run(repl, words)
