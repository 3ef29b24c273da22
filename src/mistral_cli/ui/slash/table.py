"""The one table of commands: help, completion and dispatch read these rows."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError
from mistral_cli.ui.keyboard.table import AFTER, KEYS
from mistral_cli.ui.slash import adapters, answers, branches, chat, files, parameters, roles, sessions, steering
from mistral_cli.ui.slash.choice import Choice, matching
from mistral_cli.ui.slash.row import SlashCommand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mistral_cli.ui.repl import Repl

_NARROW = 60
"""Below so many columns a summary stands under its command."""
_END = (
    "Ctrl-C stops an answer, twice leaves. Ctrl-D leaves. //text sends a line that begins with a slash. "
    "Whatever replaces an answer is a branch beside it: nothing is lost. /help keys lists the keys."
)
_KEYS = "keys"


def _help(repl: Repl, words: str) -> None:
    wanted, columns = words.strip().lstrip("/"), repl.console.out.columns
    if wanted == _KEYS:
        repl.console.line("\n".join(_laid_out("", [(key.names, key.what) for key in KEYS], columns)))
        repl.console.line("\n".join(textwrap.wrap(AFTER, max(columns - 1, 12))))
        return
    groups = [(title, [row for row in rows if wanted in ("", row.name[1:])]) for title, rows in GROUPS]
    if not any(rows for _, rows in groups):
        raise UsageError(f"There is no command /{wanted:.60}.", "/help lists them.")
    for title, rows in groups:
        if rows:
            pairs = [(f"{row.name} {row.arguments}".rstrip(), row.summary) for row in rows]
            repl.console.line("\n".join(_laid_out(title if not wanted else "", pairs, columns)))
    if not wanted:
        repl.console.line("\n".join(textwrap.wrap(_END, max(columns - 1, 12))))


def _laid_out(title: str, rows: Iterable[tuple[str, str]], columns: int) -> Iterator[str]:
    """Yield a group's lines: what is typed and what it does in two columns where there is room, else one under it."""
    if title:
        yield title
    for usage, summary in rows:
        usage = f"  {usage}"
        if columns < _NARROW:
            yield from textwrap.wrap(usage, max(columns - 1, 12), subsequent_indent="    ")
            yield from textwrap.wrap(summary, max(columns - 1, 12), initial_indent="    ", subsequent_indent="    ")
            continue
        text, *more = textwrap.wrap(summary, max(columns - _USAGE - 1, 20))
        if len(usage) >= _USAGE:
            yield usage
            usage = ""
        yield f"{usage:<{_USAGE}}{text}"
        yield from (" " * _USAGE + line for line in more)
    if title:
        yield ""


def _names(_repl: Repl, typed: str) -> list[Choice]:
    rows = (Choice(row.name[1:], row.summary) for row in COMMANDS)
    return matching(typed, (*rows, Choice(_KEYS, "What each key of the line does.")))


GROUPS: tuple[tuple[str, tuple[SlashCommand, ...]], ...] = (
    (
        "This chat",
        (
            SlashCommand("/help", "[COMMAND|keys]", "Show the commands, or the keys.", _help, _names),
            *chat.COMMANDS,
            *adapters.COMMANDS,
            *roles.COMMANDS,
        ),
    ),
    ("The answer", answers.COMMANDS),
    ("Inside the answer", steering.COMMANDS),
    ("Branches", branches.COMMANDS),
    ("Parameters", parameters.COMMANDS),
    ("Files and programs", files.COMMANDS),
    ("Kept chats", sessions.COMMANDS),
)
COMMANDS = tuple(row for _, rows in GROUPS for row in rows)
_USAGE = 28
"""Columns of a command with its arguments, where there is room."""
