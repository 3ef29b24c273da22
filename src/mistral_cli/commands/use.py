"""``mistral use``: which model answers where none is named. Loads none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mistral_cli.commands.list import default_name
from mistral_cli.commands.pull import find_or_offer
from mistral_cli.commands.start import start
from mistral_cli.settings.config_file import config_path, set_option
from mistral_cli.settings.options import Settings
from mistral_cli.settings.places import PREFIX
from mistral_cli.settings.shown import origin_of
from mistral_cli.ui.console import Console


def use(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            parser=str,
            show_default=False,
            help="A hub id, a short name (7b), a folder, or builtin. Without it: say which one it is now.",
        ),
    ] = None,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Set the model that answers where none is named, or show it: `model` in `config.toml`.

    It must be on this disk: of one that is not, the size is said and the download offered on a terminal, and it is
    refused elsewhere. A short name is written in full, so that it stays this model. `mistral config unset model` goes
    back to what holds without it: the 7B if it is here, else the built-in guide.
    """
    settings, console = start(ctx)
    if model is None:
        _show(settings, console, as_object=as_object)
        return
    folder = find_or_offer(model, settings.revision, console)
    name = _lasting_name(model)
    problem = set_option("model", [name])
    if problem:
        console.warning(f"Something else is wrong in the config: {problem}")
    if os.environ.get(f"{PREFIX}MODEL"):
        console.notice(f"{PREFIX}MODEL is set, too, and counts more than the file.")
    if as_object:
        console.json({"model": name, "path": str(folder), "config": str(config_path())})
    else:
        console.line(name)
        console.notice(f"That model answers from now on where none is named ({config_path()}).")


def _lasting_name(model: str) -> str:
    """Return a name that means the same wherever it is read: a hub id in full, a folder's whole path."""
    from mistral_cli.weights.hub import BUILTIN, find_folder, full_name

    folder: Path | None = None if model == BUILTIN else find_folder(model)
    return str(folder.absolute()) if folder else full_name(model)


def _show(settings: Settings, console: Console, *, as_object: bool) -> None:
    from mistral_cli.weights.hub_inventory import absolute, names_here

    name, origin = default_name(settings), origin_of(settings, "model")
    is_here = absolute(name).is_dir() or name in names_here()
    if as_object:
        console.json({"model": name, "origin": origin, "is_here": is_here})
        return
    console.line(name)
    console.notice(f"Set by {origin}." if settings.model else "Nothing else is set: mistral use MODEL")
    if not is_here:
        console.warning(f"It is not on this disk: mistral pull {name}")
