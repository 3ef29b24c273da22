"""The keys of a chat's input line: one table for `/help keys`, the README and their tests. Knows no keyboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Key:
    """One row."""

    names: str
    """What is pressed, as a person names it."""
    what: str
    """What it does."""


KEYS: Final = (
    Key("Enter", "send; after /multiline: begin a new line"),
    Key("Alt-Enter, Ctrl-J", "begin a new line; after /multiline, Alt-Enter sends"),
    Key('"""', "at the beginning: all is sent as it stands, up to the next three quotes"),
    Key("@FILE", r"in a message: the file's text goes with it; \@ is only an @"),
    Key("Tab", "complete a command, what follows it, or a file name after @; then the next one"),
    Key("Up, Down", "earlier and later lines, of this chat and of those before"),
    Key("Ctrl-R", "search the earlier lines backwards"),
    Key("Right, Ctrl-E", "at the end: take the grey rest of an earlier line"),
    Key("Ctrl-X Ctrl-E", "edit the line in $VISUAL or $EDITOR"),
    Key("Ctrl-_", "undo; brings back a line that Ctrl-C cleared"),
    Key("Ctrl-L", "clear the screen"),
    Key("Ctrl-C", "clear the line; in an answer: stop it; twice within a second: leave"),
    Key("Ctrl-D", "on an empty line: leave"),
    Key("Ctrl-Z", "suspend; fg comes back"),
)
AFTER: Final = "Emacs' keys edit the line; keys = \"vi\" in config.toml, or --keys vi, makes them vi's."
