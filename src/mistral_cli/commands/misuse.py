"""What somebody is told who typed a command line that cannot be: typer's complaints in our words. Knows no command."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Sequence

import typer

from mistral_cli.errors import UsageError

_EXTRA = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", re.DOTALL)
_NO_COMMAND = re.compile(r"No such command '(.*?)'", re.DOTALL)
_INVALID = re.compile(r"Invalid value for (.*?): (?:Value error, )?(.*)", re.DOTALL)
_TAKES_WORDS = ("gen", "tokens")
"""Commands whose argument is a text: what is too much is nearly always a text without quotes."""


def explain(error: typer.TyperException, program: str, commands: Sequence[str], args: Sequence[str]) -> UsageError:
    """Return what is wrong and what to do.

    Args:
        error: what typer raised.
        program: the name of the program.
        commands: the names of all commands.
        args: what was typed.
    """
    text = error.format_message().replace("\n\t", " ")  # typer sets choices one below the other
    command = next((word for word in args if word in commands), "")
    see = f"See `{program}{' ' + command if command else ''} --help`."
    if extra := _EXTRA.fullmatch(text.rstrip(".")):
        return _too_many(extra[1], command, see)
    if wrong := _NO_COMMAND.match(text):
        near = difflib.get_close_matches(wrong[1], commands, n=1)
        if near:
            return UsageError(f"There is no command {wrong[1]!r}.", f"Did you mean {near[0]}? {see}")
        asks = f"To ask a model: {program} gen {shlex.quote(wrong[1])}. {see}"
        return UsageError(f"There is no command {wrong[1]!r}.", asks if " " in wrong[1] else see)
    if name := getattr(error, "option_name", ""):
        return _option(name, getattr(error, "possibilities", None), text, see)
    if invalid := _INVALID.fullmatch(text):
        flag = invalid[1].split(" / ")[-1].strip("'")
        text = f"{flag}: {invalid[2]}"
    return UsageError(_as_sentence(text), see)


def _too_many(words: str, command: str, see: str) -> UsageError:
    if command in _TAKES_WORDS:
        return UsageError(f"There is more than one prompt: {words}.", "Put quotes around the whole text.")
    return UsageError(f"Nothing is done with {words}.", see)


def _option(name: str, near: Sequence[str] | None, text: str, see: str) -> UsageError:
    if not text.startswith("No such option"):
        return UsageError(_as_sentence(text), see)
    nearest = difflib.get_close_matches(name, near or (), n=1)
    return UsageError(f"There is no option {name}.", f"Did you mean {nearest[0]}? {see}" if nearest else see)


def _as_sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
