"""Lays out the hub's cache as the library does: content in blobs named by its hash, links in snapshots, refs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.stand_in_hub import COMMIT, etag_of
from mistral_cli.weights.hub_cache import repo_folder

if TYPE_CHECKING:
    from pathlib import Path

OTHER_COMMIT = "f" * 40
CONFIG = b'{"model_type": "mistral"}'
WEIGHTS = b"w" * 5000


def cache_model(
    repo_id: str = "owner/model",
    files: dict[str, bytes] | None = None,
    *,
    revision: str | None = "main",
    commit: str = COMMIT,
) -> Path:
    """Put a model into the cache, beside what is there of it; return its snapshot."""
    repo = repo_folder(repo_id)
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir(exist_ok=True)
    for name, content in (files or {"config.json": CONFIG, "model.safetensors": WEIGHTS}).items():
        blob = repo / "blobs" / etag_of(content)
        blob.write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{blob.name}")
    if revision is not None:
        (repo / "refs" / revision).parent.mkdir(parents=True, exist_ok=True)
        (repo / "refs" / revision).write_text(commit)
    return snapshot
