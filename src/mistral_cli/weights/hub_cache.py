"""Reads the hub's cache on this disk, as plain folders. Never touches the network, never imports huggingface_hub.

The layout is the library's own and documented (huggingface_hub, "Understand caching"):
``models--OWNER--NAME/refs/REVISION`` holds a commit, ``snapshots/COMMIT/`` holds links into ``blobs/``. Reading it
here takes a millisecond, where importing the library takes 200.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.safetensors")


def cache_folder() -> Path:
    """Return the folder where the hub's files are kept (``HF_HUB_CACHE``, else ``HF_HOME/hub``)."""
    home = Path(_variable("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface"
    home = Path(_variable("HF_HOME") or home)
    return Path(_variable("HF_HUB_CACHE") or _variable("HUGGINGFACE_HUB_CACHE") or home / "hub")


def _variable(name: str) -> str:
    """Return an environment variable that names a path, with ``~`` and ``$NAME`` filled in; empty where not set."""
    value = os.environ.get(name, "")
    return os.path.expandvars(Path(value).expanduser()) if value else ""


def repo_folder(repo_id: str) -> Path:
    """Return where the cache keeps everything of one repository."""
    return cache_folder() / "--".join(("models", *repo_id.split("/")))


def find_snapshot(repo_id: str, revision: str | None = None) -> Path | None:
    """Return the cached folder of one revision (a branch, a tag, a full commit; by default ``main``), or None.

    The folder may be incomplete: see ``find_missing``.
    """
    repo = repo_folder(repo_id)
    commit = _read_ref(repo / "refs" / (revision or "main"))
    if commit is None and revision is not None and _COMMIT.fullmatch(revision):
        commit = revision
    snapshot = repo / "snapshots" / commit if commit else None
    return snapshot if snapshot and snapshot.is_dir() else None


def _read_ref(path: Path) -> str | None:
    """Return the commit that a ref names, or None where there is none or it is garbage."""
    try:
        commit = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return commit if _COMMIT.fullmatch(commit) else None


def read_refs(repo: Path) -> dict[str, str]:
    """Return the branches and tags of a cached repository, each with its commit; those that hold garbage left out."""
    refs = repo / "refs"
    paths = sorted(path for path in refs.rglob("*") if path.is_file()) if refs.is_dir() else []
    commits = {path.relative_to(refs).as_posix(): _read_ref(path) for path in paths}
    return {name: commit for name, commit in commits.items() if commit}


def find_dangling(snapshot: Path) -> Path | None:
    """Return the first link of a snapshot that leads nowhere, or None."""
    return next((path for path in sorted(snapshot.rglob("*")) if path.is_symlink() and not path.exists()), None)


def find_missing(snapshot: Path) -> tuple[str, ...]:
    """Return the weight files that a snapshot should hold and does not; empty where it is complete.

    What it should hold is read from the shard index, else from the names (``…-00002-of-00003``). A folder without
    any weights misses ``*.safetensors``.
    """
    present = {path.name for path in snapshot.glob("*.safetensors")}
    indexed = _indexed_files(snapshot)
    expected = indexed or _shards(present)
    if any(name.startswith("consolidated") for name in present) and not any(name in present for name in indexed):
        expected = _shards(present)  # the index speaks of the other format
    if not present and not expected:
        return ("*.safetensors",)
    return tuple(sorted(expected - present))


def _indexed_files(snapshot: Path) -> set[str]:
    """Return the file names in the shard index; empty where there is none to read (the loader says what is wrong)."""
    try:
        index = json.loads((snapshot / "model.safetensors.index.json").read_text(encoding="utf-8"))
        return {str(name) for name in index["weight_map"].values()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return set()


def _shards(present: set[str]) -> set[str]:
    """Return every shard that the numbers in the names of the present ones promise."""
    found = [match for name in present if (match := _SHARD.fullmatch(name))]
    counts = {match["stem"]: int(match["count"]) for match in found}
    return {f"{stem}-{n:05d}-of-{count:05d}.safetensors" for stem, count in counts.items() for n in range(1, count + 1)}


def cached_ids() -> tuple[str, ...]:
    """Return the ids of the repositories in the cache, complete or not."""
    folders = sorted(cache_folder().glob("models--*")) if cache_folder().is_dir() else []
    return tuple(folder.name.removeprefix("models--").replace("--", "/", 1) for folder in folders)
