"""What can stand where in a command line, read from the commands themselves. Knows no shell."""

from __future__ import annotations

import importlib
import re
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from mistral_cli.commands.lazy import Command, shared
from mistral_cli.text.versions import VERSIONS

PROGRAMS: Final = ("mistral", "mistral-cli")
COMPLETE_VAR: Final = "_MISTRAL_COMPLETE"
"""The variable that asks the program for names instead of running it: ``models``, ``chats`` …"""

Source = Literal[
    "none",
    "files",
    "folders",
    "models",
    "ids",
    "chats",
    "lessons",
    "roles",
    "templates",
    "fields",
    "copies",
    "settings",
]
_SOURCES: Final[dict[str, Source]] = {
    "FILE": "files",
    "PATH": "files",
    "DIR": "folders",
    "FOLDER": "folders",
    "MODEL": "models",
    "ID": "ids",
    "CHAT": "chats",
    "FILE|CHAT": "lessons",
    "ROLE": "roles",
    "TEMPLATE": "templates",
    "FIELD=TEXT": "fields",
    "COPY": "copies",
    "OPTION": "settings",
}
"""Metavar -> where its values come from."""
_WORDS: Final = {
    "VERSION": VERSIONS,
    "DEVICE": ("auto", "cpu", "cuda", "mps"),
}
"""Metavar -> its values."""
PLACES: Final = ("files", "folders")
"""Sources that every shell has itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What may stand somewhere."""

    label: str
    source: Source = "none"
    words: tuple[str, ...] = ()
    """All there are; empty: ``source`` knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One flag, in all its spellings."""

    names: tuple[str, ...]
    opposites: tuple[str, ...] = ()
    """The spellings that switch it off."""
    about: str
    values: Values | None = None
    """What follows it; None: nothing does."""
    repeats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandWords:
    """One command."""

    name: str
    about: str
    options: tuple[Option, ...]
    arguments: tuple[Values, ...]
    has_more: bool
    """Whether the last argument may come again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramWords:
    """All of it."""

    options: tuple[Option, ...]
    """Flags before the command."""
    commands: tuple[CommandWords, ...]


def program_words(program: Any, rows: Iterable[Command]) -> ProgramWords:
    """Return what can stand in a command line.

    Args:
        program: the whole program, as typer's object.
        rows: the table of commands.
    """
    return ProgramWords(
        options=(*_options(program.params, _SHARED), HELP), commands=tuple(_command(program, row) for row in rows)
    )


def _command(program: Any, row: Command) -> CommandWords:
    command = program.get_command(None, row.name)
    hints = _SHARED | typing.get_type_hints(getattr(importlib.import_module(row.module), row.function))
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    return CommandWords(
        name=row.name,
        about=row.summary.rstrip("."),
        options=(*_options(command.params, hints), HELP),
        arguments=tuple(_values(param, hints) for param in arguments),
        has_more=bool(arguments) and arguments[-1].nargs == -1,
    )


_SHARED: Final = typing.get_type_hints(shared)
"""Annotations of the flags that every command takes."""
HELP: Final = Option(names=("-h", "--help"), about="Show the help and exit")


def _options(params: Iterable[Any], hints: dict[str, Any]) -> Iterator[Option]:
    for param in params:
        if param.param_type_name == "option" and not param.hidden:
            yield Option(
                names=tuple(param.opts),
                opposites=tuple(name for name in param.secondary_opts if name.strip()),
                about=_first_sentence(param.help or ""),
                values=None if param.is_flag else _values(param, hints),
                repeats=param.multiple,
            )


def _values(param: Any, hints: dict[str, Any]) -> Values:
    metavar = param.metavar or ""
    choices = _choices(hints.get(param.name))
    bare = _FRAME.sub("", metavar)
    name = bare if bare in _SOURCES else re.split("[| :]", bare)[0]
    label = metavar or "|".join(choices) or param.name.upper()
    return Values(label=label, source=_SOURCES.get(name, "none"), words=choices or _WORDS.get(name, ()))


_FRAME: Final = re.compile(r"[\[\]…]")
"""What a metavar has around its name."""


def _choices(hint: Any) -> tuple[str, ...]:
    """Return the texts of the ``Literal`` in an annotation; none where there is no such."""
    if typing.get_origin(hint) is Literal:
        return tuple(text for text in typing.get_args(hint) if isinstance(text, str))
    return next((found for part in typing.get_args(hint) if (found := _choices(part))), ())


def _first_sentence(text: str) -> str:
    """Return the beginning of a help text, as short as a menu wants it."""
    return re.split(r"(?<=\w)[.;] |\.$", " ".join(text.replace("`", "").split()))[0]
