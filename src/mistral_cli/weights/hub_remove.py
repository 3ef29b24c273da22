"""One revision of a model goes from the hub's cache, and what no other revision needs. Asks nobody, prints nothing.

Only what lies in the repository's own folder of the cache is ever removed: links go, what they lead to elsewhere stays.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mistral_cli.errors import MistralError, ModelNotFoundError
from mistral_cli.weights import hub_cache
from mistral_cli.weights.hub_inventory import MAIN, models_of, size_of
from mistral_cli.weights.hub_names import check_id, find_closest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mistral_cli.weights.hub_inventory import ModelHere


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What would go."""

    model: ModelHere
    kept: tuple[ModelHere, ...]
    """Other revisions, which stay."""
    blobs: frozenset[Path]
    """The contents that only this revision has."""
    nbytes: int
    """What is freed."""


def plan_removal(repo_id: str, revision: str | None = None) -> Removal:
    """Return what removing a revision (``main`` by default) would remove.

    Raises:
        UsageError: a name that no model can have.
        ModelNotFoundError: it is not in the cache, or not in this revision.
        MistralError: it lies elsewhere, or another process is fetching it.
    """
    check_id(repo_id)
    models = models_of(repo_id)
    if not models:
        raise _not_here(repo_id)
    wanted = None if revision == MAIN else revision
    chosen = [model for model in models if model.revision == wanted or model.path.name == wanted]
    if not chosen:
        here = ", ".join(f"{model.revision:.12}" for model in models)
        hint = f"Say which: mistral remove {repo_id} --revision {models[0].revision}"
        raise ModelNotFoundError(f"{repo_id} is here, but not its revision {revision or MAIN}: only {here}.", hint)
    _check_removable(repo_id)
    kept = tuple(model for model in models if model is not chosen[0])
    blobs = frozenset(path for path in _blobs(repo_id) if not any(path in model.files for model in kept))
    return Removal(model=chosen[0], kept=kept, blobs=blobs, nbytes=size_of(blobs))


def _not_here(repo_id: str) -> ModelNotFoundError:
    closest = find_closest(repo_id, hub_cache.cached_ids())
    hint = f"Did you mean {closest}?" if closest else "See what is there: mistral list"
    return ModelNotFoundError(f"{repo_id} is not in the hub's cache ({hub_cache.cache_folder()}).", hint)


def _blobs(repo_id: str) -> set[Path]:
    folder = hub_cache.repo_folder(repo_id) / "blobs"
    return {path.resolve() for path in folder.iterdir() if not path.is_symlink()} if folder.is_dir() else set()


def _check_removable(repo_id: str) -> None:
    """Check that a repository lies in the cache itself, and that nobody is fetching it."""
    repo = hub_cache.repo_folder(repo_id)
    for folder in (repo, *(repo / name for name in ("blobs", "refs", "snapshots"))):
        if folder.is_symlink():
            message = f"{folder} is a link out of the hub's cache, to {folder.resolve()}, which is not touched."
            raise MistralError(message, "Remove it yourself.")
    if any(map(_is_locked, _locks(repo_id).glob("*.lock"))):
        raise MistralError(f"{repo_id} is being fetched by another process just now.", "Wait, or stop that one first.")


def _locks(repo_id: str) -> Path:
    """Return where the library keeps the locks of a repository's files."""
    return hub_cache.cache_folder() / ".locks" / hub_cache.repo_folder(repo_id).name


def _is_locked(path: Path) -> bool:
    try:
        import fcntl  # noqa: PLC0415 (POSIX only)
    except ImportError:
        return False
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return path.exists()
    return False


def remove(removal: Removal) -> None:
    """Remove what was planned, its name first: whatever stops this in the middle, half a model is never taken for one.

    Raises:
        OSError: something cannot be removed.
    """
    model = removal.model
    repo = hub_cache.repo_folder(model.name)
    if not removal.kept:
        shutil.rmtree(repo / "refs", ignore_errors=True)
        shutil.rmtree(repo)
        shutil.rmtree(_locks(model.name), ignore_errors=True)
        return
    (repo / "refs" / (model.revision or MAIN)).unlink(missing_ok=True)
    if any(other.path == model.path for other in removal.kept):
        return  # the same commit under another name
    if model.path.is_symlink():
        model.path.unlink()
    else:
        shutil.rmtree(model.path)
    for blob in removal.blobs:
        blob.unlink(missing_ok=True)


def is_in_use(files: Iterable[Path]) -> bool:
    """Tell whether a process of this user has one of ``files`` mapped; False where the system does not tell (Linux)."""
    names = {str(path) for path in files}
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            lines = maps.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except OSError:  # another user's, or gone
            continue
        if any(line[line.find("/") :] in names for line in lines if "/" in line):
            return True
    return False
