"""Fetches a planned model into the hub's cache, going on where an earlier try stopped. Prints nothing: yields progress.

The library (2.4) throws an unfinished file away, which at 5 GB a shard is an hour of many a line. So the content of
each file is fetched here, appended to ``blobs/ETAG.incomplete`` and checked against the hub's own hash; the library
then files it as it files its own (``hf_hub_download`` finds the blob and only makes the link).
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import constants, hf_hub_download, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, HTTPError
from huggingface_hub.utils import WeakFileLock, build_hf_headers, get_session, hf_raise_for_status

from mistral_cli.errors import CheckpointError, NetworkError
from mistral_cli.weights import hub_cache
from mistral_cli.weights.hub_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mistral_cli.weights.hub_plan import Plan, RemoteFile

CHUNK = 1 << 20
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each new try that follows one which brought nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A piece of one file has come."""

    file: RemoteFile
    new: int
    """Bytes that came since the last progress, whatever file that was of; negative where a file begins afresh."""


def download(plan: Plan) -> Iterator[Progress]:
    """Fetch every file of ``plan`` that is not here, smallest first; yield after each piece.

    Stopping in the middle keeps what came: the next call goes on from there. Only a whole model gets its name in the
    cache, so that half of one is never taken for a model.

    Raises:
        NetworkError: the connection broke and several new tries brought nothing, or the content is not the hub's.
        CheckpointError: the repository itself is incomplete, or holds a git-LFS pointer in place of weights.
        MistralError: the disk is full or cannot be written.
    """
    with translated(plan.repo_id, plan.revision, hint="What came is kept: run the same command again to go on."):
        for file in plan.files:
            if not plan.pointer(file).exists():
                yield from _fetch(plan, file)
            _check_is_no_pointer(plan.pointer(file))
        _check_is_whole(plan)
        _write_ref(plan)


def _fetch(plan: Plan, file: RemoteFile) -> Iterator[Progress]:
    """Fetch one file: its content here, its place in the cache by the library."""
    if file.etag:
        yield from _fetch_blob(plan, file)
    else:
        yield Progress(file=file, new=file.size)
    placed = _placed(plan, file)
    if file.etag and not placed.is_symlink():
        plan.blob(file).unlink(missing_ok=True)  # no links on this disk: the library made a copy


def _placed(plan: Plan, file: RemoteFile) -> Path:
    """Return where the library has put a file.

    It asks the hub about it first, and does not ask again where the connection, kept from the request before, was
    closed at that moment.
    """
    for pause in PAUSES:
        try:
            return _place(plan, file)
        except HfHubHTTPError:
            raise
        except HTTPError:
            time.sleep(pause)
    return _place(plan, file)


def _place(plan: Plan, file: RemoteFile) -> Path:
    return Path(hf_hub_download(plan.repo_id, file.name, revision=plan.commit, cache_dir=hub_cache.cache_folder()))


def _fetch_blob(plan: Plan, file: RemoteFile) -> Iterator[Progress]:
    """Fetch the content of one file to its blob, alone among all processes that use this cache."""
    blob = plan.blob(file)
    lock = hub_cache.cache_folder() / ".locks" / hub_cache.repo_folder(plan.repo_id).name / f"{file.etag}.lock"
    for folder in (blob.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if blob.exists():
            return
        partial = _Partial(blob.with_name(f"{blob.name}.incomplete"), file)
        while not partial.is_whole:
            yield from _go_on(plan, partial)
        partial.check(plan.repo_id)
        partial.path.replace(blob)


class _Partial:
    """A file on its way: what has come of it, and the hash of that."""

    def __init__(self, path: Path, file: RemoteFile) -> None:
        self.path = path
        self.file = file
        self.fruitless = 0
        """Tries since the last that came further than any before."""
        self._furthest = 0
        self._start()
        if path.exists() and path.stat().st_size <= file.size:
            with path.open("rb") as content:
                while chunk := content.read(CHUNK):
                    self._count(chunk)

    def _start(self) -> None:
        self.size = 0
        # git hashes a small file with its size in front; a large one is named by the plain SHA-256
        head = b"" if len(self.file.etag) == 64 else f"blob {self.file.size}\0".encode()
        self.hash = hashlib.sha256() if len(self.file.etag) == 64 else hashlib.sha1(head, usedforsecurity=False)

    def _count(self, chunk: bytes) -> None:
        self.hash.update(chunk)
        self.size += len(chunk)
        if self.size > self._furthest:
            self._furthest, self.fruitless = self.size, 0

    @property
    def is_whole(self) -> bool:
        return self.size >= self.file.size and self.path.exists()

    def append(self, chunks: Iterator[bytes], *, afresh: bool) -> Iterator[Progress]:
        """Write ``chunks`` behind what is here, or in its place."""
        if afresh and self.size:
            yield Progress(file=self.file, new=-self.size)
            self._start()
        with self.path.open("wb" if self.size == 0 else "ab") as out:
            for chunk in chunks:
                out.write(chunk)
                self._count(chunk)
                yield Progress(file=self.file, new=len(chunk))

    def check(self, repo_id: str) -> None:
        """Check the content against its hash; a wrong one is removed, since no going on could mend it."""
        if self.hash.hexdigest() == self.file.etag:
            return
        self.path.unlink()
        message = f"What came as {self.file.name} of {repo_id} is not what the hub says it has; it was removed."
        raise NetworkError(message, "Run the same command again; if this stays, something on the way changes files.")


def _go_on(plan: Plan, partial: _Partial) -> Iterator[Progress]:
    """Ask for the rest of a file, once; a broken connection is raised only after several tries brought nothing."""
    try:
        yield from _read(plan, partial)
    except HfHubHTTPError as error:
        if error.response.status_code not in (408, 429, 500, 502, 503, 504):
            raise
        _wait(partial, error)
    except HTTPError as error:
        _wait(partial, error)
    else:
        if not partial.is_whole:
            _wait(partial, ConnectionError("the answer ended too soon"))


def _wait(partial: _Partial, error: Exception) -> None:
    """Wait before the next try, a little longer each time, or raise ``error`` where enough is enough."""
    if partial.fruitless >= len(PAUSES):
        raise error
    time.sleep(PAUSES[partial.fruitless])
    partial.fruitless += 1


def _read(plan: Plan, partial: _Partial) -> Iterator[Progress]:
    """Read the rest of a file from the hub. The token goes to the hub alone, not to where it may send us."""
    url = hf_hub_url(plan.repo_id, partial.file.name, revision=plan.commit)
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if partial.size:
        headers["Range"] = f"bytes={partial.size}-"
    with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
        hf_raise_for_status(response)
        yield from partial.append(response.iter_bytes(CHUNK), afresh=response.status_code != 206)


def _check_is_no_pointer(path: Path) -> None:
    """Check that weights are not the three lines by which git-LFS stands for them."""
    if path.suffix != ".safetensors":
        return
    with path.open("rb") as content:
        if content.read(24) == b"version https://git-lfs.":
            message = f"{path.name} at the hub is a git-LFS pointer, not weights: whoever uploaded it sent the pointer."
            raise CheckpointError(message, "Choose another repository or revision.")


def _check_is_whole(plan: Plan) -> None:
    """Check that the repository held every file that its own index names."""
    missing = hub_cache.find_missing(hub_cache.repo_folder(plan.repo_id) / "snapshots" / plan.commit)
    if missing:
        message = f"{plan.repo_id} is incomplete at the hub itself: it lacks {', '.join(missing[:5])}."
        raise CheckpointError(message, "Choose another repository or revision.")


def _write_ref(plan: Plan) -> None:
    """Note which commit the revision is: from now on the cache holds this model."""
    if plan.revision == plan.commit:
        return
    ref = hub_cache.repo_folder(plan.repo_id) / "refs" / plan.revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    partial = ref.with_name(f"{ref.name}.{os.getpid()}.tmp")
    partial.write_text(plan.commit, encoding="ascii")
    partial.replace(ref)
