"""``mistral cache``: the quantized copies of models on this disk, listed and removed. Loads nothing, needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mistral_cli.commands.sizes import size
from mistral_cli.commands.start import start
from mistral_cli.errors import ModelNotFoundError, UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.settings.places import places
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.weights.quantized_cache import Entry, QuantizedCache


def cache(
    ctx: typer.Context,
    action: Annotated[Literal["list", "remove", "clear"], typer.Argument(metavar="ACTION")] = "list",
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="COPY", show_default=False, help="What to remove: a copy, or a model and all of its."),
    ] = None,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show or free the quantized copies of models: `list`, `remove COPY`, `clear`.

    The first start with --quantize writes one, so that later ones take a second; what is removed is made again when it
    is wanted. `cache_limit` in the config (such as "40GB") bounds them all: then the one used least recently goes.
    """
    settings, console = start(ctx)
    if bool(names) != (action == "remove"):
        reason = "needs the name of what to remove" if action == "remove" else "takes no names"
        raise UsageError(f"`mistral cache {action}` {reason}.", "See what is there: mistral cache list")
    copies = open_cache(settings, console)
    copies.sweep()
    entries = copies.entries()
    if action == "list":
        _show(copies, entries, console, as_object=as_object)
    else:
        _remove(copies, entries if action == "clear" else _chosen(names or [], entries), console, as_object=as_object)


def open_cache(settings: Settings, console: Console) -> QuantizedCache:
    """Return the folder of quantized copies, bounded as the settings say."""
    from mistral_cli.weights.quantized_cache import FOLDER, QuantizedCache

    folder = places().cache / FOLDER
    return QuantizedCache(folder=folder, limit=settings.cache_limit, notice=console.notice, warn=console.warning)


def _chosen(names: list[str], entries: list[Entry]) -> list[Entry]:
    """Return what the names mean, each a copy's own or a model's.

    Raises:
        ModelNotFoundError: one means nothing; none of the others is removed then.
    """
    from mistral_cli.weights.hub_names import find_closest

    labels = {entry.path: _labels(entry) for entry in entries}
    known = [label for found in labels.values() for label in found]
    for name in names:
        if name not in known:
            closest = find_closest(name, known)
            hint = f"Did you mean {closest}?" if closest else "See what is there: mistral cache list"
            raise ModelNotFoundError(f"There is no quantized copy called {name!a:.200}.", hint)
    return [entry for entry in entries if {*labels[entry.path]} & {*names}]


def _labels(entry: Entry) -> tuple[str, ...]:
    """Return all that a copy answers to: its name, the last part of its model's, the whole of that."""
    if entry.stored is None:
        return (entry.name,)
    return entry.name, entry.stored.model.rpartition("/")[2], entry.stored.model


def _remove(copies: QuantizedCache, entries: list[Entry], console: Console, *, as_object: bool) -> None:
    for entry in entries:
        copies.remove(entry)
    freed = sum(entry.nbytes for entry in entries)
    if as_object:
        console.json({"removed": [entry.name for entry in entries], "bytes": freed})
        return
    for entry in entries:
        console.line(entry.name)
    console.notice(f"{size(freed)} freed." if entries else "There was nothing to remove.")


def _show(copies: QuantizedCache, entries: list[Entry], console: Console, *, as_object: bool) -> None:
    total = sum(entry.nbytes for entry in entries)
    if as_object:
        rows = [_row(entry) for entry in entries]
        console.json({"folder": str(copies.folder), "limit": copies.limit, "bytes": total, "copies": rows})
        return
    for line in _table(entries):
        console.line(line)
    limit = f", {size(copies.limit)} at most" if copies.limit is not None else ""
    count = "1 copy" if len(entries) == 1 else f"{len(entries)} copies"
    console.notice(f"{count}, {size(total)} in {copies.folder}{limit}.")


def _row(entry: Entry) -> dict[str, object]:
    """Return what is known of a copy; of a damaged one only what the disk says."""
    about = entry.stored
    return {
        "name": entry.name,
        "model": about.model if about else None,
        "scheme": about.identity.scheme if about else None,
        "layout": about.identity.layout if about else None,
        "device": about.identity.device if about else None,
        "dtype": about.identity.dtype if about else None,
        "bytes": entry.nbytes,
        "last_used": datetime.fromtimestamp(entry.last_used, UTC).isoformat(timespec="seconds"),
        "problem": entry.problem or None,
    }


def _table(entries: list[Entry]) -> Iterator[str]:
    """Yield a line a copy: name, model, size, last use and, where it is of no use, why."""
    rows = [
        (
            entry.name,
            entry.stored.model if entry.stored else "?",
            size(entry.nbytes),
            f"{datetime.fromtimestamp(entry.last_used, UTC).astimezone():%Y-%m-%d %H:%M}",
        )
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, entry in zip(rows, entries, strict=True):
        cells = [f"{text:{width}}" for text, width in zip(row, widths, strict=True)]
        yield "  ".join([*cells, entry.problem]).rstrip()
