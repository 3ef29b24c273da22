"""A model's name becomes a folder on this disk. Never touches the network: fetching is ``hub_download``'s."""

from __future__ import annotations

from pathlib import Path

from mistral_cli.errors import CheckpointError, ModelNotFoundError, UsageError
from mistral_cli.weights import hub_cache
from mistral_cli.weights.hub_names import (
    ALIASES,
    BUILTIN,
    DEFAULT_MODEL,
    KNOWN_MODELS,
    check_id,
    check_revision,
    find_closest,
    model_of,
)

__all__ = [
    "BUILTIN",
    "DEFAULT_MODEL",
    "NotFetchedError",
    "builtin_path",
    "check_links",
    "default_model",
    "expand",
    "find_folder",
    "full_name",
    "is_cached",
    "resolve",
]


class NotFetchedError(ModelNotFoundError):
    """A hub id that is not, or not wholly, in the cache: fetching it would help (3)."""


def builtin_path() -> Path:
    """Return the folder of the model that comes with this package."""
    return Path(__file__).parents[1] / "builtin"


def default_model() -> str:
    """Return the model to use where none was named: the default if it is on this disk, else the built-in one.

    A default with a broken link counts as being here, so that loading it says what is wrong.
    """
    snapshot = hub_cache.find_snapshot(DEFAULT_MODEL)
    return DEFAULT_MODEL if snapshot and not hub_cache.find_missing(snapshot) else BUILTIN


def full_name(name: str) -> str:
    """Return the hub id that a short name (``7b``) stands for; any other name, and a folder's, as it is."""
    model = model_of(name)
    return name if model is None or Path(name).is_dir() else model


def resolve(name: str, *, revision: str | None = None, weights: bool = True) -> Path:
    """Return the folder of the model called ``name``, from this disk alone.

    Args:
        name: an existing folder, ``builtin``, or a hub id that was fetched before, or its short name.
        revision: a branch, tag or commit of a hub id; ``main`` by default.
        weights: False where the config is enough, so that a snapshot without its weights counts.

    Raises:
        ModelNotFoundError: there is no such folder; ``NotFetchedError``: the hub id is not (wholly) in the cache.
        CheckpointError: the cache holds a link that leads nowhere.
        UsageError: a name that no model can have, a file, or a revision of something that has none.
    """
    check_revision(revision)
    folder = builtin_path() if name == BUILTIN else find_folder(name)
    if folder is None:
        return _resolve_cached(full_name(name), revision, weights=weights)
    if revision is not None:
        raise UsageError(f"--revision is {revision}, but {name!a} is a folder, not a hub id.", "Leave it out.")
    return folder


def find_folder(name: str) -> Path | None:
    """Return the folder that ``name`` is the path of, or None.

    Raises:
        UsageError: it is a file, or only looks like a path and leads outside.
        ModelNotFoundError: it is plainly a path, and nothing is there.
    """
    if not name.strip():
        return None
    path = expand(name)
    try:
        if path.is_dir():
            return path
        is_file = path.exists()
    except (OSError, ValueError):  # too long, or holds what no file name can
        return None
    if is_file:
        raise UsageError(f"{name!a} is a file, but a model is a folder.", f"Give its folder: {path.parent}")
    is_path = name.startswith(("/", "./", "~")) or name.count("/") > 1
    if is_path and ".." not in path.parts:
        raise _no_folder(name, path)
    return None


def expand(name: str) -> Path:
    """Return ``name`` as a path, ``~`` filled in where there is such a user."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def _no_folder(name: str, path: Path) -> ModelNotFoundError:
    """Return the error for a path where nothing is, with the name beside it that is most like it."""
    try:
        beside = [entry.name for entry in path.parent.iterdir() if entry.is_dir()]
    except OSError:
        beside = []
    closest = find_closest(path.name, beside)
    hint = f"Did you mean {path.parent / closest}?" if closest else "Check the path, or give a hub id (OWNER/NAME)."
    return ModelNotFoundError(f"No model at {name!a}: there is no folder {path.absolute()}.", hint)


def is_cached(repo_id: str, revision: str | None = None) -> bool:
    """Tell whether a hub id can be loaded from the cache: its snapshot is there, whole, and no link leads nowhere."""
    snapshot = hub_cache.find_snapshot(repo_id, revision)
    if snapshot is None:
        return False
    return not hub_cache.find_missing(snapshot) and hub_cache.find_dangling(snapshot) is None


def _resolve_cached(repo_id: str, revision: str | None, *, weights: bool) -> Path:
    """Return the snapshot of a hub id, checked; raises as ``resolve`` does."""
    check_id(repo_id)
    pull = f"mistral pull {repo_id}" + (f" --revision {revision}" if revision else "")
    snapshot = hub_cache.find_snapshot(repo_id, revision)
    if snapshot is None:
        raise _not_cached(repo_id, revision, pull)
    check_links(snapshot, pull)
    missing = hub_cache.find_missing(snapshot) if weights else ()
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        message = f"Only a part of {repo_id} was fetched: {snapshot} lacks {shown}."
        raise NotFetchedError(message, f"Fetch the rest with: {pull}")
    return snapshot


def check_links(snapshot: Path, pull: str) -> None:
    """Refuse a cached folder of which a link leads nowhere; ``pull`` is the command that mends it."""
    dangling = hub_cache.find_dangling(snapshot)
    if dangling is not None:
        message = f"The hub cache is damaged: {dangling} is a link to {dangling.readlink()}, which is not there."
        raise CheckpointError(message, f"Mend it with: {pull}")


def _not_cached(repo_id: str, revision: str | None, pull: str) -> NotFetchedError:
    """Return the error for a hub id that is not in the cache: where it looked, the closest name, how to fetch it."""
    wanted = f"{repo_id} at revision {revision}" if revision else repo_id
    where = f"there is no folder of that name here, and it is not in the hub's cache ({hub_cache.cache_folder()})"
    known = {*KNOWN_MODELS, *hub_cache.cached_ids(), *(alias.name for alias in ALIASES)}
    closest = find_closest(repo_id, sorted(known - {repo_id})) if repo_id not in known else None
    suggestion = f"Did you mean {closest}? " if closest else ""
    fetch = f"To fetch it: {pull}" if "/" in repo_id else "" if closest else "A hub id is OWNER/NAME."
    return NotFetchedError(f"{wanted} is not on this disk: {where}.", f"{suggestion}{fetch}".strip())
