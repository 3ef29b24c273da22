"""What fetching a model would fetch: which files, how many bytes, from which commit. Fetches nothing but that list."""

from __future__ import annotations

import os
import re
import shutil
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import get_session, logging

from mistral_cli.errors import CheckpointError, MistralError, NetworkError
from mistral_cli.weights import hub_cache
from mistral_cli.weights.hub_errors import page, translated
from mistral_cli.weights.hub_names import check_id, check_revision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from huggingface_hub.hf_api import ModelInfo, RepoSibling

Info = TypeVar("Info")
"""What the hub tells."""

DEADLINE = 3.0
"""Seconds until a hub that says nothing counts as out of reach; ``HF_HUB_ETAG_TIMEOUT`` gives it more."""

SPARE = 100_000_000
"""Bytes left free on the disk after fetching."""

_BESIDE = re.compile(
    r"(config|generation_config|tokenizer_config|special_tokens_map|added_tokens|tokenizer|params|tekken)\.json"
    r"|tokenizer\.model(\.v\d+\w*)?|mistral_instruct_tokenizer_\d+\.model(\.v\d+\w*)?"
    r"|chat_template\.(jinja|json)|README\.md|LICEN[CS]E[\w.]*"
)
"""Small files that belong to a model whatever the format of its weights."""

_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
_BESIDE_ADAPTER = re.compile(r"README\.md|LICEN[CS]E[\w.]*")
"""What goes with an adapter: its base has the rest."""

_ONE_FILE = re.compile(r"model\.safetensors")
_SHARDS = re.compile(r"model-\d{5}-of-\d{5}\.safetensors|model\.safetensors\.index\.json")
_CONSOLIDATED = re.compile(r"consolidated(-\d{5}-of-\d{5}|\.\d+)?\.safetensors|consolidated\.safetensors\.index\.json")
_FORMATS = (
    ("config.json", "model.safetensors.index.json", _SHARDS),
    ("config.json", "model.safetensors", _ONE_FILE),
    ("params.json", "", _CONSOLIDATED),
)
"""(the config it needs, a file that tells this format, its files), best first: one of them is fetched, not two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file at the hub."""

    name: str
    size: int
    etag: str = ""
    """Its name in the cache: the SHA-256 of a large file, git's own hash of a small one; empty where not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be fetched for one model."""

    repo_id: str
    revision: str
    commit: str
    files: tuple[RemoteFile, ...]
    license: str = ""
    listed: tuple[RemoteFile, ...] = ()
    """Every file of the repository, those that are not fetched among them."""

    @property
    def total_bytes(self) -> int:
        """Size of the whole model."""
        return sum(file.size for file in self.files)

    @property
    def is_here(self) -> bool:
        """Tell whether every file is in its place, so that nothing is left to do."""
        return all(self.pointer(file).exists() for file in self.files)

    @property
    def bytes_here(self) -> int:
        """Bytes of it that are on this disk, those of unfinished files among them."""
        return sum(min(file.size, _size_here(self, file)) for file in self.files)

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes that are still to come."""
        return self.total_bytes - self.bytes_here

    def pointer(self, file: RemoteFile) -> Path:
        """Return where the model's folder has ``file``."""
        return hub_cache.repo_folder(self.repo_id) / "snapshots" / self.commit / file.name

    def blob(self, file: RemoteFile) -> Path:
        """Return where the cache keeps the content of ``file``; beside it, ``….incomplete`` while it is coming."""
        return hub_cache.repo_folder(self.repo_id) / "blobs" / file.etag


def _size_here(plan: Plan, file: RemoteFile) -> int:
    places = [plan.pointer(file)]
    if file.etag:
        blob = plan.blob(file)
        places += [blob, blob.with_name(f"{blob.name}.incomplete")]
    return next((place.stat().st_size for place in places if place.exists()), 0)


def download_plan(repo_id: str, revision: str | None = None) -> Plan:
    """Ask the hub what ``repo_id`` holds, and choose: one format of weights, the config, the tokenizer.

    Raises:
        UsageError: no id or revision can be called that.
        ModelNotFoundError: the hub has no such repository or revision.
        NetworkError: the hub does not answer within ``DEADLINE`` seconds, or does not let us in.
        CheckpointError: the repository holds no weights that may be loaded.
    """
    check_id(repo_id)
    check_revision(revision)
    hush_library()
    with translated(repo_id, revision):
        info = within(deadline(), lambda: _ask(repo_id, revision))
    listed = {item.rfilename: item for item in info.siblings or ()}
    chosen = [listed[name] for name in choose_files(repo_id, listed)]
    files = [_describe(item) for item in chosen]
    return Plan(
        repo_id=repo_id,
        revision=revision or "main",
        commit=info.sha or "",
        files=tuple(sorted(files, key=lambda file: (file.size, file.name))),
        license=str(getattr(info.card_data, "license", None) or ""),
        listed=tuple(map(_describe, listed.values())),
    )


def _describe(item: RepoSibling) -> RemoteFile:
    if item.size is None:  # some mirrors leave it out: the library fetches such a file, without going on
        return RemoteFile(name=item.rfilename, size=0)
    return RemoteFile(name=item.rfilename, size=item.size, etag=item.lfs.sha256 if item.lfs else item.blob_id or "")


def hush_library() -> None:
    """Let the library log errors only: its warnings repeat addresses, which may be signed, and what the hub says."""
    if "HF_HUB_VERBOSITY" not in os.environ:
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def deadline() -> float:
    """Return how many seconds the hub has to answer."""
    asked = os.environ.get("HF_HUB_ETAG_TIMEOUT", "")
    return float(asked) if asked.isdecimal() else DEADLINE


def _ask(repo_id: str, revision: str | None) -> ModelInfo:
    """Return what the hub says of a repository; a gated one must let us in."""
    try:
        info = HfApi().model_info(repo_id, revision=revision, files_metadata=True, timeout=deadline())
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, OSError):  # one of the library's, which is both
            raise
        address = page("").rstrip("/")
        raise NetworkError(f"{address} does not answer as the hub does.", "Check HF_ENDPOINT and the proxy.") from error
    if info.gated and info.siblings:
        names = [item.rfilename for item in info.siblings]
        weights = next((name for name in names if name.endswith(".safetensors")), names[0])
        get_hf_file_metadata(hf_hub_url(repo_id, weights, revision=info.sha), timeout=deadline())
    return info


def within(seconds: float, ask: Callable[[], Info]) -> Info:
    """Return what ``ask`` returns, or raise TimeoutError: looking up a name may block longer than any time-out."""
    get_session()  # reads certificates: on a busy machine for longer than a hub needs to answer
    answers: list[Info] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            answers.append(ask())
        except (HTTPError, OSError, MistralError) as error:  # raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="hub", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return answers[0]


def choose_files(repo_id: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the files of a repository that make the model: one format of weights and all that belongs beside it.

    Where there is no model, those that make a LoRA adapter.

    Raises:
        CheckpointError: there is no format that may be loaded; pickles never are.
    """
    top = {name for name in names if "/" not in name and "\\" not in name}
    beside = {name for name in top if _BESIDE.fullmatch(name)}
    for config, mark, weights in _FORMATS:
        found = {name for name in top if weights.fullmatch(name)}
        if config in top and any(name.endswith(".safetensors") for name in found) and (not mark or mark in top):
            return tuple(sorted(beside | found))
    if {*_ADAPTER} <= top:
        return tuple(sorted({*_ADAPTER, *filter(_BESIDE_ADAPTER.fullmatch, top)}))
    if any(name.endswith((".bin", ".pth", ".pt", ".ckpt")) for name in top):
        what = "its weights are pickles, which can run code and are never read"
    else:
        what = "it has no safetensors weights with a config.json or params.json"
    raise CheckpointError(f"{repo_id} cannot be used: {what}.", "Choose a repository with *.safetensors.")


def check_disk(plan: Plan) -> None:
    """Check that what is to be fetched fits on the disk of the hub's cache.

    Raises:
        MistralError: it does not; the message holds both numbers.
    """
    folder = hub_cache.cache_folder().absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if plan.bytes_to_fetch + SPARE > free:
        needed = f"{plan.repo_id} needs {plan.bytes_to_fetch / 1e9:.2f} GB more"
        message = f"{needed}, but {existing} has only {free / 1e9:.2f} GB free."
        raise MistralError(message, "Make room, or set HF_HOME to a larger disk.")
