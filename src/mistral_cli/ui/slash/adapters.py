"""The adapters on the model that answers: listed, loaded, weighed, taken off, without loading the model anew."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from mistral_cli.adapting import doubt, labels, read_choice
from mistral_cli.errors import UsageError
from mistral_cli.ui.adapters import adapters_of
from mistral_cli.ui.columns import in_columns
from mistral_cli.ui.paths import names_after
from mistral_cli.ui.slash.choice import Choice, matching
from mistral_cli.ui.slash.row import SlashCommand

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.ui.repl import Repl


def _list(repl: Repl, _words: list[str]) -> None:
    attached = repl.backend.info.adapters
    rows = [
        (one.name, f"× {one.strength:g}", f"rank {one.rank}", f"{one.parameters:,} parameters", one.path)
        for one in attached
    ]
    out = repl.console.out
    for line in in_columns(rows, out.columns if out.is_terminal else None):
        repl.console.line(line)
    if not attached:
        repl.console.notice("No adapter is on the model. /adapter load FOLDER puts one there.")


def _load(repl: Repl, words: list[str]) -> None:
    if not 1 <= len(words) <= 2:
        raise UsageError("/adapter load takes FOLDER[:SCALE] and a name, if it is to have one.", _EXAMPLE)
    choice, name = read_choice(words[0]), words[1] if len(words) == 2 else None
    adapters = adapters_of(repl.backend)
    repl.offer_adapter(choice.path)
    info = adapters.load(choice.path, choice.strength, name=name)
    repl.console.notice(f"{info.label} answers from now on: rank {info.rank}, {info.parameters:,} parameters.")
    if said := doubt(info, repl.backend.info.name, repl.backend.info.path):
        repl.console.notice(said)


def _off(repl: Repl, words: list[str]) -> None:
    adapters, attached = adapters_of(repl.backend), repl.backend.info.adapters
    if len(words) > 1:
        raise UsageError("/adapter off takes one name, or none for all.")
    gone = [one for one in attached if one.name in words or not words]
    if not gone:
        on = labels(attached) or "none"
        raise UsageError(f"No such adapter is on the model (on it: {on}).", "/adapter lists them.")
    adapters.off(words[0] if words else None)
    repl.console.notice(f"Without {', '.join(one.name for one in gone)} from now on.")


def _scale(repl: Repl, words: list[str]) -> None:
    if len(words) != 2:
        raise UsageError("/adapter scale takes a name and a number.", "For instance: /adapter scale mine 0.5")
    try:
        strength = float(words[1])
    except ValueError as error:
        raise UsageError(f"The scale is {words[1]!a:.40}, but must be a number.", "1 is as it was trained.") from error
    info = adapters_of(repl.backend).scale(words[0], strength)
    repl.console.notice(f"{info.label} answers from now on.")


_EXAMPLE: Final = "For instance: /adapter load ./my-adapter:0.5"
_ACTIONS: Final[dict[str, tuple[str, Callable[[Repl, list[str]], None]]]] = {
    "list": ("what is on the model", _list),
    "load": ("FOLDER[:SCALE] [NAME]: put one onto it", _load),
    "off": ("[NAME]: take one off, or all", _off),
    "scale": ("NAME X: weigh one anew; 1 is as trained", _scale),
}


def _adapter(repl: Repl, words: str) -> None:
    """Do one of the actions; without any, list."""
    try:
        name, *rest = shlex.split(words) or ["list"]
    except ValueError as error:
        raise UsageError(f"{words!r:.60} cannot be read: {error}.") from error
    if name not in _ACTIONS:
        raise UsageError(f"/adapter has no {name!r:.40}, only {', '.join(_ACTIONS)}.", _EXAMPLE)
    if name == "list" and rest:
        raise UsageError("/adapter list takes no words.")
    _ACTIONS[name][1](repl, rest)


def _complete(repl: Repl, typed: str) -> list[Choice]:
    """Return the actions, then folders or the names of what is on the model."""
    name, gap, words = typed.partition(" ")
    if not gap:
        return matching(typed, (Choice(action, about) for action, (about, _) in _ACTIONS.items()))
    if name == "load":
        return [choice for choice in names_after(words) if choice.about == "folder"]
    if name in ("off", "scale") and " " not in words:
        return matching(words, (Choice(one.name, f"× {one.strength:g}") for one in repl.backend.info.adapters))
    return []


COMMANDS = (
    SlashCommand(
        "/adapter",
        "[list|load|off|scale]",
        "Show the adapters on the model, put one onto it (load FOLDER[:SCALE] [NAME]), take it off (off [NAME]), weigh "
        "it (scale NAME X).",
        _adapter,
        _complete,
    ),
)
