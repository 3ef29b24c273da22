"""The models on this disk: those of the hub's cache, those in folders that the user named, the built-in one.

Reads names, sizes, links and shard indices, never a weight; needs no torch and no network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mistral_cli.weights import hub_cache
from mistral_cli.weights.hub import builtin_path
from mistral_cli.weights.hub_names import BUILTIN, alias_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAIN = "main"
"""The revision that a model has where none is named."""

_CONFIGS = ("config.json", "params.json")
_ADAPTER = "adapter_config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHere:
    """One revision of one model on this disk."""

    name: str
    """What ``--model`` takes: a hub id, a folder, or ``builtin``."""
    revision: str | None
    """What ``--revision`` needs; None where it needs nothing."""
    path: Path
    nbytes: int
    """On the disk. What two revisions share counts for each of them."""
    last_used: float | None
    """Seconds since 1970 at which its weights were last read, as exactly as the disk keeps that (often to a day)."""
    problem: str
    """Why it cannot be loaded as it is; empty where it can."""
    files: frozenset[Path]
    """Where its bytes really lie; what two revisions share is in both."""

    @property
    def alias(self) -> str | None:
        """Its short name."""
        return alias_of(self.name) if self.revision is None else None

    @property
    def is_adapter(self) -> bool:
        """Tell whether it is no model, but a LoRA adapter for one."""
        return (self.path / _ADAPTER).is_file() and not any((self.path / name).exists() for name in _CONFIGS)

    @property
    def is_of_hub(self) -> bool:
        """Tell whether it lies in the hub's cache."""
        return self.path.is_relative_to(hub_cache.cache_folder())


def models_here(folders: Iterable[str | Path] = ()) -> list[ModelHere]:
    """Return the models on this disk, by name; the built-in one at the end.

    Args:
        folders: model folders, or folders that hold such; one that is not there holds nothing.
    """
    found = [model for repo_id in hub_cache.cached_ids() for model in models_of(repo_id)]
    found += [_local(path) for path in _local_paths(folders)]
    builtin = builtin_path()
    return [*found, _here(BUILTIN, builtin, problem="", files=_files(builtin))]


def names_here(folders: Iterable[str | Path] = ()) -> tuple[str, ...]:
    """Return what ``--model`` takes without a download: names of whole models, each after its short name if any."""
    found = [model for model in models_here(folders) if not model.is_adapter]
    whole = [model for model in found if not model.problem and model.revision is None]
    return tuple(name for model in whole for name in (model.alias, model.name) if name)


def models_of(repo_id: str) -> list[ModelHere]:
    """Return every revision of a hub id that is in the cache, ``main`` first."""
    repo = hub_cache.repo_folder(repo_id)
    refs = hub_cache.read_refs(repo)
    snapshots = [path for path in sorted(_entries(repo / "snapshots")) if path.is_dir()]
    blobs = [path.resolve() for path in _entries(repo / "blobs")]
    if not snapshots:
        return [_here(repo_id, repo, problem="not whole", files=blobs)] if blobs else []
    unfinished = [path for path in blobs if path.name.endswith(".incomplete")]
    named = [(revision, path) for path in snapshots for revision in _revisions(path, snapshots, refs)]
    found = [_cached(repo_id, revision, path, unfinished) for revision, path in named]
    return sorted(found, key=lambda model: model.revision or "")


def _revisions(path: Path, snapshots: list[Path], refs: dict[str, str]) -> list[str | None]:
    """Return what a snapshot is called: its refs, else its commit; None for ``main``."""
    own = [None if ref == MAIN else ref for ref, commit in refs.items() if commit == path.name]
    if own:
        return own
    is_begun = len(snapshots) == 1 and MAIN not in refs and hub_cache.find_missing(path)
    return [None if is_begun else path.name]  # the ref is written when all has come


def _cached(repo_id: str, revision: str | None, snapshot: Path, unfinished: Sequence[Path]) -> ModelHere:
    dangling, missing = hub_cache.find_dangling(snapshot), hub_cache.find_missing(snapshot)
    problem = ""
    if dangling is not None:
        problem = f"damaged: {dangling.relative_to(snapshot)} is a link to nothing"
    elif missing == ("*.safetensors",) and not unfinished:
        problem = "no safetensors weights"
    elif missing:
        problem = _lacks(missing)
    files = [*_files(snapshot), *(unfinished if missing else ())]
    return _here(repo_id, snapshot, revision=revision, problem=problem, files=files)


def _lacks(missing: Sequence[str]) -> str:
    return f"not whole: lacks {missing[0]}" + (f" and {len(missing) - 1} more" if missing[1:] else "")


def _files(folder: Path) -> set[Path]:
    return {file.resolve() for file in folder.rglob("*") if file.is_file()}


def _here(name: str, path: Path, *, problem: str, files: Iterable[Path], revision: str | None = None) -> ModelHere:
    return ModelHere(
        name=name,
        revision=revision,
        path=path,
        nbytes=size_of(files),
        last_used=max((file.stat().st_atime for file in path.glob("*.safetensors") if file.is_file()), default=None),
        problem=problem,
        files=frozenset(files),
    )


def size_of(files: Iterable[Path]) -> int:
    """Return the bytes of files; one that is gone has none."""
    return sum(map(_size, files))


def _local_paths(folders: Iterable[str | Path]) -> Iterator[Path]:
    """Yield the model folders that ``folders`` are or hold."""
    for folder in map(absolute, folders):
        inside = [path for path in sorted(_entries(folder)) if path.is_dir()]
        yield from (path for path in (folder, *inside) if any((path / config).is_file() for config in _CONFIGS))


def absolute(folder: str | Path) -> Path:
    """Return the whole path of a folder, ``~`` filled in."""
    try:
        return Path(folder).expanduser().absolute()
    except RuntimeError:  # no such user
        return Path(folder)


def _local(path: Path) -> ModelHere:
    missing = hub_cache.find_missing(path)
    return _here(str(path), path, problem=_lacks(missing) if missing else "", files=_files(path))


def _entries(folder: Path) -> Iterator[Path]:
    """Yield what lies in a folder; nothing where it cannot be read."""
    try:
        yield from (Path(entry) for entry in os.scandir(folder))
    except OSError:
        return


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed meanwhile
        return 0
