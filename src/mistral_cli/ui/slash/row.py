"""What a command typed in a chat is, and how its words are read. Knows no command."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.chat.turn import MARKS
from mistral_cli.errors import UsageError
from mistral_cli.ui.slash.choice import numbered
from mistral_cli.ui.wrap import cells

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.chat.turn import Turn
    from mistral_cli.ui.repl import Repl
    from mistral_cli.ui.slash.choice import Choice, Complete

ABOUT = 48
"""Cells of what is said beside a choice."""
_DIGITS = 12
"""Of a number that is read at all."""
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'', re.DOTALL)
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\"": '"', r"\\": "\\"}


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """One row: what is typed, what the help says, what happens with the words after it."""

    name: str
    arguments: str
    """What may follow, as the help shows it; empty where nothing may."""
    summary: str
    run: Callable[[Repl, str], None]
    complete: Complete | None = None


def whole_number(words: str, what: str, most: int, *, usual: int | None = None) -> int:
    """Return the number that was typed, from 1 to ``most``; ``usual`` where none was.

    Raises:
        UsageError: it is none, or out of its range.
    """
    if not words and usual is not None:
        return usual
    digits = words.lstrip("0") if words.isdecimal() else ""
    if not digits or len(digits) > _DIGITS or int(digits) > most:
        raise UsageError(f"{words!r:.40} is no {what}: it must be 1 to {most:,}." if most else f"There is no {what}.")
    return int(digits)


def unquoted(words: str) -> str:
    r"""Return the text between quotes (in double ones ``\n``, ``\t``, ``\"`` are escapes), or the words themselves."""
    match = _QUOTED.fullmatch(words)
    if match is None:
        return words
    if match.group(2) is not None:
        return match.group(2)
    return re.sub(r"\\[nt\"\\]", lambda escape: _ESCAPES[escape.group()], match.group(1))


def is_quoted(words: str) -> bool:
    """Tell whether the words stand between quotes."""
    return _QUOTED.fullmatch(words) is not None


def last_turn(repl: Repl) -> Turn:
    """Return the turn where the talk stands.

    Raises:
        UsageError: nothing was answered yet.
    """
    path = repl.conversation.path()
    if not path:
        raise UsageError("There is no answer yet.", "Ask something first.")
    return path[-1]


def show_turn(repl: Repl, turn: Turn) -> None:
    """Show a turn again as it was shown when it came: the question, the answer, how it ended."""
    repl.console.rows(f"> {turn.question}")
    writer = repl.open_writer(repl.console)
    writer.push(turn.answer)
    writer.finish()
    if turn.reason in MARKS:
        repl.console.notice(f"({MARKS[turn.reason]})")
    if not repl.is_strict:
        repl.console.gap()


def excerpt(text: str, columns: int) -> str:
    """Return the beginning of a text on one line of at most ``columns`` cells."""
    most = 4 * max(columns, 1)
    line = " ".join(text[:most].split())
    if cells(line) <= columns and len(text) <= most:
        return line
    while cells(line) > max(columns - 1, 1):
        line = line[:-1]
    return line + "…"


def ending(text: str, columns: int) -> str:
    """Return the end of a text on one line of at most ``columns`` cells."""
    line = text[-columns - 1 :].replace("\n", "⏎").replace("\t", " ")
    if cells(line) <= columns:
        return line
    shown = line[-columns:]
    while cells(shown) > max(columns - 1, 1):
        shown = shown[1:]
    return "…" + shown


def complete_turns(repl: Repl, typed: str) -> list[Choice]:
    """Return the numbers of this branch's turns, each with its question."""
    return numbered(typed, (excerpt(turn.question, ABOUT) for turn in repl.conversation.path()))


def turns_of(count: int) -> str:
    """Return ``1 turn``, ``2 turns``."""
    return f"{count:,} turn{'s' * (count != 1)}"
