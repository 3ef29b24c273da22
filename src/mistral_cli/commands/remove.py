"""``mistral remove``: models and their quantized copies go from this disk, after a question. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mistral_cli.commands import options as opt
from mistral_cli.commands.cache import open_cache
from mistral_cli.commands.kept_cache import open_kept_caches
from mistral_cli.commands.list import default_name
from mistral_cli.commands.sizes import size
from mistral_cli.commands.start import start
from mistral_cli.errors import UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.weights.hub_remove import Removal
    from mistral_cli.weights.quantized_cache import Entry, QuantizedCache


def remove(
    ctx: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL…", show_default=False, help="Hub ids or short names, as `mistral list` has them."
        ),
    ],
    revision: opt.RevisionOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask; quantized copies of the model go, too.")
    ] = False,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Remove models from the hub's cache, and the quantized copies made of them; says what that frees, and asks.

    Caches of chats that only these models can go on from go, too; the chats stay.

    Other revisions of a model stay, and so does everything outside the cache: a folder of your own is never removed.
    A program that has a model loaded keeps it until it ends.
    """
    settings, console = start(ctx, {"revision": revision})
    removals = _plans(models, settings.revision)
    copies = open_cache(settings, console)
    made = [copy for copy in copies.entries() if any(_is_lost(copy, removal) for removal in removals)]
    if not yes:
        if not console.can_ask:
            raise UsageError("Without a terminal nobody can be asked, and nothing is removed unasked.", "Say --yes.")
        if not console.ask(f"Remove {', '.join(map(_told, removals))} for good?"):
            console.notice("Nothing was removed.")
            return 1
        if made and not console.ask(f"And the quantized copies, of no use without it ({_total(made)})?"):
            made = []
    _remove(removals, made, copies, settings, console, as_object=as_object)
    return 0


def _plans(names: Sequence[str], revision: str | None) -> list[Removal]:
    """Return what would go, before anything does.

    Raises:
        UsageError: the built-in model, a folder, or a name that no model can have.
        ModelNotFoundError, MistralError: as ``plan_removal``.
    """
    from mistral_cli.weights.hub_names import model_of
    from mistral_cli.weights.hub_remove import plan_removal

    ids = dict.fromkeys(model_of(name) or name for name in names)
    for name in ids:
        _refuse_what_is_not_the_hub_s(name)
    return [plan_removal(name, revision) for name in ids]


def _refuse_what_is_not_the_hub_s(name: str) -> None:
    from mistral_cli.weights.hub import BUILTIN, find_folder
    from mistral_cli.weights.hub_cache import cached_ids

    if name == BUILTIN:
        raise UsageError("The built-in model is a part of this program, and takes 10 MB.", "It stays.")
    if name not in cached_ids() and (folder := find_folder(name)):
        reason = f"{folder} is a folder of yours, outside the hub's cache, and only that is cleared here."
        raise UsageError(reason, "Remove it yourself if it is to go.")


def _is_lost(copy: Entry, removal: Removal) -> bool:
    """Tell whether a quantized copy was made of files that go: it would never be used again."""
    return copy.stored is not None and any(Path(stamp.path) in removal.blobs for stamp in copy.stored.identity.files)


def _told(removal: Removal) -> str:
    model = removal.model
    name = f"{model.name} at {model.revision:.12}" if model.revision else model.name
    return f"{name} ({size(removal.nbytes)})"


def _total(copies: Sequence[Entry]) -> str:
    schemes = dict.fromkeys(copy.stored.identity.scheme for copy in copies if copy.stored)
    return f"{', '.join(schemes)}: {size(sum(copy.nbytes for copy in copies))}"


def _remove(
    removals: Sequence[Removal],
    made: Sequence[Entry],
    copies: QuantizedCache,
    settings: Settings,
    console: Console,
    *,
    as_object: bool,
) -> None:
    from mistral_cli.weights.hub_remove import is_in_use, remove

    freed = sum(removal.nbytes for removal in removals) + sum(copy.nbytes for copy in made)
    was_default = [removal.model.name for removal in removals if removal.model.name == default_name(settings)]
    kept = open_kept_caches(settings, console)
    blobs = {str(blob) for removal in removals for blob in removal.blobs}
    caches = [entry for entry in kept.entries() if blobs & {*entry.kept.about.files}]
    freed += sum(entry.kept.nbytes for entry in caches)
    in_use = is_in_use([*(blob for removal in removals for blob in removal.blobs), *(copy.path for copy in made)])
    for removal in removals:
        remove(removal)
    for copy in made:
        copies.remove(copy)
    for cache in caches:
        kept.remove(cache)
    if as_object:
        rows = [{"name": row.model.name, "revision": row.model.revision, "bytes": row.nbytes} for row in removals]
        console.json({"removed": rows, "copies": [copy.name for copy in made], "bytes": freed, "in_use": in_use})
        return
    for removal in removals:
        console.line(removal.model.name)
    console.notice(f"{size(freed)} freed.")
    if in_use:
        console.notice(
            "A program that is running has it mapped: it goes on with it, and the room is free when it ends."
        )
    for removal in removals:
        _say_what_stays(removal, console)
    if was_default and settings.model is not None:
        console.notice(f"{was_default[0]} was the default: mistral use MODEL sets another.")


def _say_what_stays(removal: Removal, console: Console) -> None:
    for other in removal.kept:
        flag = f" --revision {other.revision}" if other.revision else ""
        console.notice(f"Its revision {other.revision or 'main'} stays: mistral remove {other.name}{flag}")
