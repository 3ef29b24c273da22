"""``mistral config``: every option, its value, who set it, what it may be; ``config.toml`` changed. Needs no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from mistral_cli.commands.start import start
from mistral_cli.errors import UsageError
from mistral_cli.settings.config_file import config_path, option_name, set_option, unset_option
from mistral_cli.settings.load import load_settings
from mistral_cli.settings.options import OPTIONS, Settings
from mistral_cli.settings.places import PREFIX
from mistral_cli.settings.shown import origin_of, range_of, value_json, value_text
from mistral_cli.ui.columns import in_columns
from mistral_cli.ui.console import Console

_LONGEST: Final = 40
"""Characters of a value in the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What was asked for, and where to say it."""

    console: Console
    settings: Settings
    words: Sequence[str]
    as_object: bool


def config(
    ctx: typer.Context,
    action: Annotated[Literal["list", "get", "set", "unset", "path"], typer.Argument(metavar="ACTION")] = "list",
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="OPTION [VALUE]", show_default=False, help="The option, and for `set` its value."),
    ] = None,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show or change the settings: `list`, `get OPTION`, `set OPTION VALUE`, `unset OPTION`, `path`.

    `list` says of every option its value, who set it (`config.toml` and the line, an environment variable, a flag) and
    what it may be; with names, of those alone. `get` prints the bare value, nothing where there is none. `set` and
    `unset` change `config.toml` and leave its comments and its order alone.
    """
    settings, console = _start(ctx, action)
    least, most, needs = _WORDS[action]
    if not least <= len(words or []) <= most:
        raise UsageError(f"`mistral config {action}` {needs}.", "See what there is: mistral config list")
    _ACTIONS[action](_Wish(console=console, settings=settings, words=words or [], as_object=as_object))


def _start(ctx: typer.Context, action: str) -> tuple[Settings, Console]:
    """Load the settings; where they cannot be, still go on with what mends them."""
    try:
        return start(ctx)
    except UsageError:
        if action not in ("set", "unset", "path"):
            raise
        return Settings(), Console.open(choice=ctx.obj.color or "auto")


def _list(wish: _Wish) -> None:
    names = [option_name(word) for word in wish.words] or [*OPTIONS]
    console = wish.console
    if wish.as_object:
        console.json({"path": str(config_path()), "options": [_object(wish.settings, name) for name in names]})
        return
    rows = [_cells(wish.settings, name) for name in names]
    for line in in_columns(rows, console.out.columns if console.out.is_terminal else None):
        console.line(line)


def _cells(settings: Settings, name: str) -> tuple[str, ...]:
    value = " ".join(value_text(getattr(settings, name)).split()) or "-"
    shown = value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
    origin = origin_of(settings, name).removeprefix(f"{config_path().parent}{os.sep}")
    return name, shown, origin, range_of(name)


def _object(settings: Settings, name: str) -> dict[str, object]:
    return {
        "name": name,
        "value": value_json(getattr(settings, name)),
        "origin": origin_of(settings, name),
        "range": range_of(name),
    }


def _get(wish: _Wish) -> None:
    name = option_name(wish.words[0])
    if wish.as_object:
        wish.console.json(_object(wish.settings, name))
    else:
        wish.console.line(value_text(getattr(wish.settings, name)))


def _set(wish: _Wish) -> None:
    name = option_name(wish.words[0])
    _say_what_is_left(set_option(name, wish.words[1:]), wish.console)
    if variable := _variable(name):
        wish.console.notice(f"{variable} is set, too, and counts more than the file.")
    _tell(wish, name, f"{name} is set in {config_path()}.")


def _unset(wish: _Wish) -> None:
    name = option_name(wish.words[0])
    _say_what_is_left(unset_option(name), wish.console)
    _tell(wish, name, f"{name} is not set in {config_path()}.")


def _say_what_is_left(problem: str, console: Console) -> None:
    if problem:
        console.warning(f"Something else is wrong there: {problem}")


def _variable(name: str) -> str:
    """Return the environment variable that sets an option, if one does."""
    variable = f"{PREFIX}{name.upper()}"
    return variable if os.environ.get(variable) else ""


def _tell(wish: _Wish, name: str, notice: str) -> None:
    """Say what holds now."""
    if not wish.as_object:
        wish.console.notice(notice)
        return
    wish.console.json({"path": str(config_path()), **_object(load_settings(), name)})


def _path(wish: _Wish) -> None:
    path: Path = config_path()
    if wish.as_object:
        wish.console.json({"path": str(path), "exists": path.exists()})
    else:
        wish.console.line(str(path))


_MANY: Final = 10_000
_WORDS: Final = {
    "list": (0, _MANY, ""),
    "get": (1, 1, "needs the name of one option"),
    "set": (2, _MANY, "needs the name of an option and its value"),
    "unset": (1, 1, "needs the name of one option"),
    "path": (0, 0, "takes no names"),
}
"""Action -> how many words it takes, at least and at most; what it needs."""
_ACTIONS: Final[dict[str, Callable[[_Wish], None]]] = {
    "list": _list,
    "get": _get,
    "set": _set,
    "unset": _unset,
    "path": _path,
}
