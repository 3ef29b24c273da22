"""``mistral cache``: quantized copies of models and kept caches of chats, listed and removed. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mistral_cli.commands.kept_cache import open_kept_caches
from mistral_cli.commands.sizes import size
from mistral_cli.commands.start import start
from mistral_cli.errors import ModelNotFoundError, UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.settings.places import places
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.engine.kv_store import Entry as KeptEntry
    from mistral_cli.engine.kv_store import KVStore
    from mistral_cli.weights.quantized_cache import Entry, QuantizedCache


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is there, or what is meant of it."""

    copies: QuantizedCache
    of_models: Sequence[Entry]
    kept: KVStore
    of_chats: Sequence[KeptEntry]

    @property
    def names(self) -> list[str]:
        return [*(entry.name for entry in self.of_models), *(entry.name for entry in self.of_chats)]

    @property
    def nbytes(self) -> int:
        return sum(entry.nbytes for entry in self.of_models) + sum(entry.kept.nbytes for entry in self.of_chats)


def cache(
    ctx: typer.Context,
    action: Annotated[Literal["list", "remove", "clear"], typer.Argument(metavar="ACTION")] = "list",
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COPY", show_default=False, help="What to remove: a copy or a cache, or a model and all of its."
        ),
    ] = None,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show or free the quantized copies of models and the kept caches of chats: `list`, `remove COPY`, `clear`.

    The first start with --quantize writes one, so that later ones take a second; what is removed is made again when it
    is wanted. `cache_limit` in the config (such as "40GB") bounds them all: then the one used least recently goes.
    `mistral chat --keep-cache` keeps caches of chats, up to `keep_cache_limit` (8GB); removed ones are made anew.
    """
    settings, console = start(ctx)
    if bool(names) != (action == "remove"):
        reason = "needs the name of what to remove" if action == "remove" else "takes no names"
        raise UsageError(f"`mistral cache {action}` {reason}.", "See what is there: mistral cache list")
    copies, kept = open_cache(settings, console), open_kept_caches(settings, console)
    copies.sweep()
    kept.sweep()
    found = _Found(copies=copies, of_models=copies.entries(), kept=kept, of_chats=kept.entries())
    if action == "list":
        _show(found, console, as_object=as_object)
    else:
        _remove(found if action == "clear" else _chosen(names or [], found), console, as_object=as_object)


def open_cache(settings: Settings, console: Console) -> QuantizedCache:
    """Return the folder of quantized copies, bounded as the settings say."""
    from mistral_cli.weights.quantized_cache import FOLDER, QuantizedCache

    folder = places().cache / FOLDER
    return QuantizedCache(folder=folder, limit=settings.cache_limit, notice=console.notice, warn=console.warning)


def _chosen(names: list[str], found: _Found) -> _Found:
    """Return what the names mean, each a copy's or cache's own or a model's.

    Raises:
        ModelNotFoundError: one means nothing; none of the others is removed then.
    """
    from mistral_cli.weights.hub_names import find_closest

    models = {entry.name: _labels(entry.name, entry.stored.model if entry.stored else "") for entry in found.of_models}
    chats = {entry.name: _labels(entry.name, entry.kept.about.model) for entry in found.of_chats}
    known = [label for labels in (*models.values(), *chats.values()) for label in labels]
    for name in names:
        if name not in known:
            closest = find_closest(name, known)
            hint = f"Did you mean {closest}?" if closest else "See what is there: mistral cache list"
            raise ModelNotFoundError(f"There is no quantized copy called {name!a:.200}.", hint)
    return _Found(
        copies=found.copies,
        of_models=[entry for entry in found.of_models if {*models[entry.name]} & {*names}],
        kept=found.kept,
        of_chats=[entry for entry in found.of_chats if {*chats[entry.name]} & {*names}],
    )


def _labels(name: str, model: str) -> tuple[str, ...]:
    """Return all that something answers to: its name, the last part of its model's, the whole of that."""
    return (name, model.rpartition("/")[2], model) if model else (name,)


def _remove(found: _Found, console: Console, *, as_object: bool) -> None:
    for copy in found.of_models:
        found.copies.remove(copy)
    for cache in found.of_chats:
        found.kept.remove(cache)
    if as_object:
        console.json({"removed": found.names, "bytes": found.nbytes})
        return
    for name in found.names:
        console.line(name)
    console.notice(f"{size(found.nbytes)} freed." if found.names else "There was nothing to remove.")


def _show(found: _Found, console: Console, *, as_object: bool) -> None:
    copies, entries = found.copies, found.of_models
    total = sum(entry.nbytes for entry in entries)
    if as_object:
        rows = [_row(entry) for entry in entries]
        about = {"folder": str(copies.folder), "limit": copies.limit, "bytes": total, "copies": rows}
        console.json({**about, "chats": _chats_object(found)})
        return
    for line in _table(entries):
        console.line(line)
    limit = f", {size(copies.limit)} at most" if copies.limit is not None else ""
    count = "1 copy" if len(entries) == 1 else f"{len(entries)} copies"
    console.notice(f"{count}, {size(total)} in {copies.folder}{limit}.")
    if found.of_chats:
        _show_chats(found, console)


def _show_chats(found: _Found, console: Console) -> None:
    rows = [
        (
            entry.name,
            entry.kept.about.model,
            f"{entry.kept.about.tokens:,} tokens",
            size(entry.kept.nbytes),
            f"{datetime.fromtimestamp(entry.last_used, UTC).astimezone():%Y-%m-%d %H:%M}",
        )
        for entry in found.of_chats
    ]
    for line in _lines(rows, [entry.problem for entry in found.of_chats]):
        console.line(line)
    total = sum(entry.kept.nbytes for entry in found.of_chats)
    count = "1 cache of a chat" if len(rows) == 1 else f"{len(rows)} caches of chats"
    console.notice(f"{count}, {size(total)} in {found.kept.folder}, {size(found.kept.limit)} at most.")


def _chats_object(found: _Found) -> Mapping[str, object]:
    rows = [
        {
            "name": entry.name,
            "model": entry.kept.about.model,
            "form": entry.kept.about.form,
            "tokens": entry.kept.about.tokens,
            "bytes": entry.kept.nbytes,
            "last_used": datetime.fromtimestamp(entry.last_used, UTC).isoformat(timespec="seconds"),
            "problem": entry.problem or None,
        }
        for entry in found.of_chats
    ]
    total = sum(entry.kept.nbytes for entry in found.of_chats)
    return {"folder": str(found.kept.folder), "limit": found.kept.limit, "bytes": total, "caches": rows}


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


def _table(entries: Sequence[Entry]) -> Iterator[str]:
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
    return _lines(rows, [entry.problem for entry in entries])


def _lines(rows: Sequence[tuple[str, ...]], problems: Sequence[str]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, problem in zip(rows, problems, strict=True):
        cells = [f"{text:{width}}" for text, width in zip(row, widths, strict=True)]
        yield "  ".join([*cells, problem]).rstrip()
