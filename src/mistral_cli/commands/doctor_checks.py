"""Each thing that ``mistral doctor`` looks at: what it is, what is wrong with it, how to mend it. Prints nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mistral_cli import __version__
from mistral_cli.commands.doctor_processor import processor_features, processor_name
from mistral_cli.commands.threads import granted_cores
from mistral_cli.errors import MistralError
from mistral_cli.settings.places import places

PACKAGE = "mistral-cli"
LEAST_PYTHON = (3, 11)
_REQUIREMENT = re.compile(r'([\w.-]+)\s*(?:>=\s*([\d.]+))?.*?(?:extra == ["\'](\w+)["\'])?')
_FOR_DEVELOPERS = "dev"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the report."""

    section: str
    name: str
    value: str
    problem: str = ""
    """What is wrong; empty where nothing is."""
    remedy: str = ""
    """How to mend it."""


def check_program() -> Iterator[Check]:
    """Look at this program and the Python that runs it."""
    yield Check(section="program", name=PACKAGE, value=__version__)
    yield Check(
        section="program",
        name="python",
        value=f"{platform.python_version()} ({sys.executable})",
        problem="" if sys.version_info >= LEAST_PYTHON else "Python is older than 3.11.",
        remedy="Install a newer Python and mistral-cli into it.",
    )
    yield Check(
        section="program", name="system", value=f"{platform.system()} {platform.release()} {platform.machine()}"
    )


def check_libraries() -> Iterator[Check]:
    """Compare what is installed with what this program was made for; imports none of it."""
    extras: dict[str, list[str]] = {}
    for requirement in _requirements():
        match = _REQUIREMENT.fullmatch(requirement)
        name, floor, extra = match.groups() if match else (requirement, None, None)
        version = _installed(name)
        if extra is None:
            yield _library(name, floor, version)
        elif extra != _FOR_DEVELOPERS:
            missing = extras.setdefault(extra, [])
            missing += [] if version else [name]
    for extra, missing in extras.items():
        install = f"not installed: pip install '{PACKAGE}[{extra}]'"
        yield Check(section="libraries", name=f"extra {extra}", value=install if missing else "installed")


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _library(name: str, floor: str | None, version: str | None) -> Check:
    remedy = f"pip install --upgrade '{name}{'>=' + floor if floor else ''}'"
    if version is None:
        return Check(section="libraries", name=name, value="missing", problem=f"{name} is missing.", remedy=remedy)
    is_old = floor is not None and _numbers(version) < _numbers(floor)
    problem = f"{name} {version} is older than {floor}." if is_old else ""
    return Check(section="libraries", name=name, value=version, problem=problem, remedy=remedy)


def _numbers(version: str) -> tuple[int, ...]:
    """``2.13.0+cpu`` -> (2, 13); zeros at the end count for nothing."""
    release = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in release[0].split(".")] if release else [0]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def check_machine() -> Iterator[Check]:
    """Look at processor, cores and memory."""
    from mistral_cli.engine.host_memory import host_free

    features = " ".join(processor_features()) or "not listed by the system"
    yield Check(section="machine", name="processor", value=processor_name())
    yield Check(section="machine", name="features", value=features)
    yield Check(section="machine", name="cores", value=f"{granted_cores()} granted of {os.cpu_count()}")
    yield Check(section="machine", name="memory", value=f"{host_free() / 1e9:.1f} GB free")


def check_files() -> Iterator[Check]:
    """Look at where files live and whether they can be written."""
    from mistral_cli.weights.hub_cache import cache_folder

    ours = places()
    folders = {"config": ours.config, "data": ours.data, "state": ours.state, "cache": ours.cache}
    for name, folder in folders.items():
        yield _folder(name, folder, "Mend its rights, or set MISTRAL_CLI_HOME to a folder that you may write to.")
    hub = cache_folder()
    check = _folder("hub cache", hub, "Mend its rights, or set HF_HOME to a folder that you may write to.")
    free = shutil.disk_usage(_existing(hub)).free
    yield Check(
        section="files",
        name="hub cache",
        value=f"{hub} ({free / 1e9:.1f} GB free)",
        problem=check.problem,
        remedy=check.remedy,
    )

    yield Check(section="files", name="hub login", value=_login(hub.parent))


def _login(hub_home: Path) -> str:
    """Say whether somebody is logged in at the hub; the token itself is never read."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "not asked: HF_HUB_OFFLINE is set"
    if os.environ.get("HF_TOKEN"):
        return "HF_TOKEN is set"
    stored = Path(os.environ.get("HF_TOKEN_PATH") or hub_home / "token").exists()
    return "a token is stored" if stored else "none (only gated models need one): hf auth login"


def _folder(name: str, folder: Path, remedy: str) -> Check:
    existing = _existing(folder)
    is_fine = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    problem = "" if is_fine else f"{existing} is no folder that can be written to."
    return Check(section="files", name=name, value=str(folder), problem=problem, remedy=remedy)


def _existing(path: Path) -> Path:
    """Return ``path``, or the nearest of the folders around it that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def check_models() -> Iterator[Check]:
    """Look at the built-in model, the default one, and every one that was fetched."""
    from mistral_cli.weights.hub import BUILTIN, builtin_path
    from mistral_cli.weights.hub_cache import cached_ids

    problem = _fault_of(BUILTIN, builtin_path())
    reinstall = f"Install this program again: pip install --force-reinstall --no-deps {PACKAGE}"
    yield Check(
        section="models", name=BUILTIN, value="damaged" if problem else "here", problem=problem, remedy=reinstall
    )
    yield _default()
    for repo_id in cached_ids():
        yield _fetched(repo_id)


def _default() -> Check:
    """Look whether the model that answers where none is named is here: the one that was set, else the usual one."""
    from mistral_cli.settings.load import load_settings
    from mistral_cli.weights.hub import BUILTIN, DEFAULT_MODEL, full_name, is_cached
    from mistral_cli.weights.hub_inventory import absolute

    try:
        chosen = load_settings().model
    except MistralError:  # which is told beside
        chosen = None
    name = full_name(chosen or DEFAULT_MODEL)
    is_here = name == BUILTIN or absolute(name).is_dir() or is_cached(name)
    return Check(
        section="models", name="default", value=f"{name}, {'here' if is_here else f'not here: mistral pull {name}'}"
    )


def _fault_of(name: str, folder: Path) -> str:
    """Say what is wrong with a model's files; empty where nothing is. Reads headers only."""
    from mistral_cli.weights.config import read_args
    from mistral_cli.weights.files import find_files, read_tensors
    from mistral_cli.weights.formats import match_tensors

    try:
        match_tensors(read_tensors(find_files(folder)), read_args(folder), folder)
    except MistralError as error:
        return f"{name}: {error.message}"
    return ""


def _fetched(repo_id: str) -> Check:
    """Look at one repository of the cache: broken links and files that are missing."""
    from mistral_cli.weights.hub_cache import find_dangling, find_missing, find_snapshot

    snapshot = find_snapshot(repo_id)
    if snapshot is None:
        value = f"begun, not finished: mistral pull {repo_id}"
        return Check(section="models", name=repo_id, value=value)
    dangling, remedy = find_dangling(snapshot), f"mistral pull {repo_id}"
    if dangling:
        problem = f"{dangling} is a link to {dangling.readlink()}, which is not there."
        return Check(section="models", name=repo_id, value="damaged", problem=problem, remedy=remedy)
    missing = find_missing(snapshot)
    value = f"not whole ({', '.join(missing[:3])} missing): {remedy}" if missing else "here"
    return Check(section="models", name=repo_id, value=value)
