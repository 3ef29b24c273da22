"""``mistral list``: the models on this disk. Loads nothing, asks no network, needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mistral_cli.commands.cache import open_cache
from mistral_cli.commands.sizes import size
from mistral_cli.commands.start import start
from mistral_cli.settings.options import Settings
from mistral_cli.ui.columns import in_columns
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.weights.hub_inventory import ModelHere
    from mistral_cli.weights.quantized_cache import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A model with what is known of it elsewhere."""

    model: ModelHere
    copies: Sequence[Entry]
    is_default: bool

    @property
    def last_used(self) -> float | None:
        """The last time its weights or one of its quantized copies were read."""
        times = [self.model.last_used, *(copy.last_used for copy in self.copies)]
        return max((time for time in times if time is not None), default=None)


def list_models(
    ctx: typer.Context,
    aliases: Annotated[
        bool, typer.Option("--aliases", help="Show the short names instead, and the models they stand for.")
    ] = False,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the models on this disk: name, short name, size, quantized copies, when last used; the default is marked.

    Those of the Hugging Face hub's cache, those in the folders that `model_folders` of the config names, and the
    built-in guide. What is not whole or damaged is said, with what mends it.
    """
    settings, console = start(ctx)
    if aliases:
        _show_aliases(settings, console, as_object=as_object)
    else:
        _show_models(settings, console, as_object=as_object)


def model_names() -> tuple[str, ...]:
    """Return what `--model` takes here without a download, for whoever completes it; nothing where no settings load."""
    from mistral_cli.errors import MistralError
    from mistral_cli.settings.load import load_settings
    from mistral_cli.weights.hub_inventory import names_here

    try:
        return names_here(load_settings().model_folders)
    except MistralError:
        return ()


# -- the models ------------------------------------------------------------------------------------------------------


def _show_models(settings: Settings, console: Console, *, as_object: bool) -> None:
    from mistral_cli.weights.hub_cache import cache_folder
    from mistral_cli.weights.hub_inventory import size_of

    rows, default = _rows(settings, console), default_name(settings)
    in_cache = [row.model for row in rows if row.model.is_of_hub]
    if as_object:
        models = [_object(row) for row in rows]
        console.json({"cache": str(cache_folder()), "default": default, "models": models})
        return
    for line in in_columns([_cells(row) for row in rows], console.out.columns if console.out.is_terminal else None):
        console.line(line)
    if in_cache:
        total = size_of({path for model in in_cache for path in model.files})
        console.notice(f"{size(total)} in {cache_folder()}.")
    if not any(row.is_default for row in rows):
        console.notice(f"The default, {default}, is not here: mistral pull {default}")


def default_name(settings: Settings) -> str:
    """Return the full name of the model that answers where none is named: of a folder its whole path."""
    from mistral_cli.weights.hub import default_model, full_name
    from mistral_cli.weights.hub_inventory import absolute

    name = full_name(settings.model or default_model())
    return str(absolute(name)) if absolute(name).is_dir() else name


def _rows(settings: Settings, console: Console) -> list[_Row]:
    """Return the models, the one used last first, the built-in one at the end."""
    from mistral_cli.weights.hub_inventory import models_here
    from mistral_cli.weights.hub_names import BUILTIN

    default, copies = default_name(settings), open_cache(settings, console).entries()
    folders = [*settings.model_folders, *([default] if "/" in default else [])]
    rows = [
        _Row(
            model=model,
            copies=[copy for copy in copies if is_copy_of(copy, model)],
            is_default=model.name == default and model.revision == settings.revision,
        )
        for model in models_here(folders)
    ]
    return sorted(rows, key=lambda row: (row.model.name == BUILTIN, -(row.last_used or 0), row.model.name))


def is_copy_of(copy: Entry, model: ModelHere) -> bool:
    """Tell whether a quantized copy was made of a model's files."""
    return copy.stored is not None and any(Path(stamp.path) in model.files for stamp in copy.stored.identity.files)


def _cells(row: _Row) -> tuple[str, ...]:
    model = row.model
    schemes = dict.fromkeys(copy.stored.identity.scheme for copy in row.copies if copy.stored)
    copies = f"{', '.join(schemes)}: {size(sum(copy.nbytes for copy in row.copies))}" if schemes else ""
    used = f"{datetime.fromtimestamp(row.last_used, UTC).astimezone():%Y-%m-%d}" if row.last_used else ""
    states = [
        "default" if row.is_default else "",
        "adapter" if model.is_adapter else "",
        f"revision {model.revision:.12}" if model.revision else "",
        model.problem,
        _remedy(model),
    ]
    return model.name, model.alias or "", size(model.nbytes), copies, used, " · ".join(filter(None, states))


def _remedy(model: ModelHere) -> str:
    """Return the command that fetches what is missing."""
    if not model.problem.startswith(("damaged", "not whole")) or not model.is_of_hub:
        return ""
    return f"mistral pull {model.name}" + (f" --revision {model.revision}" if model.revision else "")


def _object(row: _Row) -> dict[str, object]:
    model = row.model
    return {
        "name": model.name,
        "alias": model.alias,
        "revision": model.revision,
        "path": str(model.path),
        "bytes": model.nbytes,
        "is_default": row.is_default,
        "is_adapter": model.is_adapter,
        "is_whole": not model.problem,
        "problem": model.problem or None,
        "last_used": row.last_used and datetime.fromtimestamp(row.last_used, UTC).isoformat(timespec="seconds"),
        "quantized": [
            {"name": copy.name, "scheme": copy.stored.identity.scheme, "bytes": copy.nbytes}
            for copy in row.copies
            if copy.stored
        ],
    }


# -- the short names -------------------------------------------------------------------------------------------------


def _show_aliases(settings: Settings, console: Console, *, as_object: bool) -> None:
    from mistral_cli.weights.hub_inventory import names_here
    from mistral_cli.weights.hub_names import ALIASES

    here = {*names_here(settings.model_folders)}
    if as_object:
        rows = [{"alias": alias.name, "model": alias.model, "is_here": alias.model in here} for alias in ALIASES]
        console.json({"aliases": rows})
        return
    cells = [(alias.name, alias.model, alias.about, "here" if alias.model in here else "") for alias in ALIASES]
    for line in in_columns(cells, console.out.columns if console.out.is_terminal else None):
        console.line(line)
