"""Where an adapter lies, and what it is called after: a folder, or a hub id that was fetched. Fetches nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.errors import ModelNotFoundError, UsageError
from mistral_cli.weights import hub_cache
from mistral_cli.weights.adapters.lora_config import CONFIG, PICKLE, WEIGHTS
from mistral_cli.weights.hub import NotFetchedError, check_links, expand
from mistral_cli.weights.hub_names import is_id

if TYPE_CHECKING:
    from pathlib import Path

_SNAPSHOTS, _REPOSITORY = "snapshots", "models--"


def adapter_folder(name: str) -> Path:
    """Return the folder of the adapter called ``name``, from this disk alone.

    Raises:
        ModelNotFoundError: there is no such folder, and no hub id of that name was fetched.
        CheckpointError: the hub's cache holds a link that leads nowhere.
        UsageError: it is a file.
    """
    path = expand(name)
    try:
        if path.is_dir():
            return path
        is_file = path.exists()
    except (OSError, ValueError):  # too long, or holds what no file name can
        is_file = False
    if is_file:
        raise UsageError(f"{name!a} is a file, but an adapter is a folder.", f"Give its folder: {path.parent}")
    if not is_id(name) or "/" not in name:
        hint = "Check the path, or give a hub id (OWNER/NAME)."
        raise ModelNotFoundError(f"There is no adapter folder {name!a:.300}.", hint)
    return _cached(name)


def adapter_name(folder: Path) -> str:
    """Return what the adapter in ``folder`` is called: as the folder is, or as the hub's repository."""
    repository = folder.parent.parent.name
    if folder.parent.name == _SNAPSHOTS and repository.startswith(_REPOSITORY):
        return repository.rpartition("--")[2]
    return folder.resolve().name


def _cached(repo_id: str) -> Path:
    snapshot, pull = hub_cache.find_snapshot(repo_id), f"mistral pull {repo_id}"
    if snapshot is None:
        where = f"there is no folder of that name here, and it is not in the hub's cache ({hub_cache.cache_folder()})"
        raise NotFetchedError(f"The adapter {repo_id} is not on this disk: {where}.", f"To fetch it: {pull}")
    check_links(snapshot, pull)
    lacking = [name for name in (CONFIG, WEIGHTS) if not (snapshot / name).exists()]
    if len(lacking) == 1 and not (snapshot / PICKLE).exists():
        message = f"Only a part of the adapter {repo_id} was fetched: {snapshot} lacks {', '.join(lacking)}."
        raise NotFetchedError(message, f"Fetch the rest with: {pull}")
    return snapshot
