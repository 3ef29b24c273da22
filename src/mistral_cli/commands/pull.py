"""``mistral pull``: a model comes from the hub to this disk. Also what other commands do where a model is not here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mistral_cli.commands import options as opt
from mistral_cli.commands.sizes import size
from mistral_cli.commands.start import start
from mistral_cli.errors import CheckpointError, ModelNotFoundError, UsageError
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.weights.hub_plan import Plan


def pull(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(metavar="ID", parser=str, help="The model's id at the hub, OWNER/NAME, or a short name (7b)."),
    ],
    revision: opt.RevisionOption = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Read back every byte that is here and compare it with the hub's checksums."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Download a model: one format of its weights, its tokenizer and its config.

    Says how much will come, and asks. An interrupted download goes on where it stopped. Prints the model's folder.
    With --verify a model that is here is not made newer, but checked: what is damaged is named and, if wanted, fetched
    again. Without the network it is checked against the names by which the cache knows its contents.
    """
    from mistral_cli.weights.hub import BUILTIN, find_folder, full_name

    settings, console = start(ctx, {"revision": revision})
    model = full_name(model)
    if model == BUILTIN or find_folder(model):
        raise UsageError(f"{model!a} is here already: it is no id of the hub.", f"Try: mistral show {model}")
    folder = _folder_to_verify(model, settings.revision) if verify else None
    if folder is None:
        folder = _fetched(model, settings.revision, console, yes=yes)
    if folder is None:
        return 1
    checked = _verified(model, settings.revision, folder, console, yes=yes, as_object=as_object) if verify else {}
    if as_object:
        console.json({"model": model, "commit": folder.name, "path": str(folder), **checked})
    else:
        console.line(str(folder))
    return 0


def _folder_to_verify(model: str, revision: str | None) -> Path | None:
    """Return where a model lies, broken links and all; None where it is not, or not wholly, here."""
    from mistral_cli.weights.hub_cache import find_missing, find_snapshot

    snapshot = find_snapshot(model, revision)
    return snapshot if snapshot and not find_missing(snapshot) else None


def _verified(
    model: str, revision: str | None, folder: Path, console: Console, *, yes: bool, as_object: bool
) -> dict[str, object]:
    """Check every file; return what a program wants to know of that.

    Raises:
        CheckpointError: there is damage, and it stays.
    """
    from mistral_cli.commands.verify import as_json, settle, verify

    found = verify(model, revision, folder, console)
    try:
        settle(model, found, console, yes=yes, fetch=_fetch)
    except CheckpointError:
        if as_object:
            console.json({"model": model, "commit": folder.name, "path": str(folder), **as_json(found)})
        raise
    return as_json(found)


def _fetched(model: str, revision: str | None, console: Console, *, yes: bool) -> Path | None:
    """Fetch a model, or make sure that it is here; return its folder, None where somebody said no.

    Raises:
        UsageError: nobody can be asked.
        NetworkError, CheckpointError, MistralError: as ``download`` has it.
    """
    from mistral_cli.weights.hub import is_cached, resolve
    from mistral_cli.weights.hub_errors import UnreachableError

    try:
        plan = _plan(model, revision, console)
    except UnreachableError as error:
        if not is_cached(model, revision):
            raise
        console.warning(f"{error.message} {model} is here already, maybe not the newest of it.")
        return resolve(model, revision=revision)
    if not (plan.is_here or yes):
        if not console.can_ask:
            raise UsageError(
                f"Without a terminal nobody can be asked, and {size(plan.bytes_to_fetch)} are not downloaded unasked.",
                "Say --yes to download them.",
            )
        if not console.ask("Download it?"):
            console.notice("Nothing was downloaded.")
            return None
    return _fetch(plan, console)


def find_or_offer(name: str, revision: str | None, console: Console) -> Path:
    """Return the folder of a model; where a hub id was never fetched, say its size and ask, if somebody can answer.

    Raises:
        ModelNotFoundError: it is not here, and nobody said yes to fetching it.
        NetworkError, CheckpointError, UsageError: as ``resolve`` and ``download`` have it.
    """
    from mistral_cli.weights.hub import NotFetchedError, full_name, resolve

    name = full_name(name)
    try:
        return resolve(name, revision=revision)
    except NotFetchedError as error:
        if not console.can_ask:
            raise
        console.notice(error.message)
    plan = _plan(name, revision, console)
    if not console.ask("Download it now?"):
        raise ModelNotFoundError(f"{name} was not downloaded.", "Without -m the default or the built-in model answers.")
    return _fetch(plan, console)


def find_or_offer_adapter(name: str, console: Console) -> Path:
    """Return the folder of an adapter; where a hub id was never fetched, say its size and ask, if somebody can answer.

    Raises:
        ModelNotFoundError: it is not here, and nobody said yes to fetching it.
        CheckpointError: it is no adapter; the cache is damaged.
        NetworkError, UsageError: as ``adapter_folder`` and ``download`` have it.
    """
    from mistral_cli.weights.adapters.lora_config import CONFIG
    from mistral_cli.weights.adapters.places import adapter_folder
    from mistral_cli.weights.hub import NotFetchedError

    try:
        return adapter_folder(name)
    except NotFetchedError as error:
        if not console.can_ask:
            raise
        console.notice(error.message)
    plan = _plan(name, None, console)
    if CONFIG not in {file.name for file in plan.files}:
        raise CheckpointError(f"{name} holds a model, but no adapter.", f"For the model: mistral pull {name}")
    if not console.ask("Download it now?"):
        raise ModelNotFoundError(f"The adapter {name} was not downloaded.", "Without it the model answers alone.")
    return _fetch(plan, console)


def _plan(repo_id: str, revision: str | None, console: Console) -> Plan:
    """Ask the hub what would be fetched, say it, and check that it fits on the disk."""
    from mistral_cli.weights.hub_plan import check_disk, download_plan

    console.status(f"Asking the hub for {repo_id} …")
    plan = download_plan(repo_id, revision)
    here = f", of which {size(plan.bytes_here)} are here" if plan.bytes_here else ""
    license_text = f"; licence: {plan.license}" if plan.license else ""
    console.notice(f"{repo_id}: {len(plan.files)} files, {size(plan.total_bytes)}{here}{license_text}.")
    check_disk(plan)
    return plan


def _fetch(plan: Plan, console: Console) -> Path:
    """Download what is missing under one of the hub's own progress bars; return the model's folder."""
    from huggingface_hub.utils import tqdm

    from mistral_cli.weights.hub import resolve
    from mistral_cli.weights.hub_download import download

    bar = tqdm(  # type: ignore[no-untyped-call]
        total=plan.total_bytes,
        initial=plan.bytes_here,
        desc=plan.repo_id,
        unit="B",
        unit_scale=True,
        disable=not console.err.can_redraw or console.quiet,
    )
    try:
        with bar:
            for progress in download(plan):
                bar.set_postfix_str(progress.file.name, refresh=False)
                bar.update(progress.new)
    except KeyboardInterrupt:
        console.notice("Stopped. What came is kept: run the same command again to go on.")
        raise
    return resolve(plan.repo_id, revision=plan.revision)
