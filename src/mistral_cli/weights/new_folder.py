"""A folder that is made whole: written beside its place, then renamed. Knows no model, no tensor and no terminal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from mistral_cli.errors import CheckpointError, MistralError, UsageError
from mistral_cli.weights.half_written import SUFFIX as PARTIAL
from mistral_cli.weights.half_written import lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OLD = ".old"
"""How the name of a folder ends that makes room for a new one."""


def check_target(source: Path, target: Path, *, force: bool) -> None:
    """Refuse to write where something lies that must not go; sweep up what killed processes left beside ``target``.

    Raises:
        UsageError: ``target`` is a file, the model itself, or holds something else than a model to be replaced.
    """
    _sweep(target.absolute())
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target} is no folder.", "Name a new folder.")
    if target.samefile(source):
        raise UsageError(f"{target} is the model itself.", "Name another folder.")
    if not any(target.iterdir()):
        return
    if not (target / "config.json").is_file():
        raise UsageError(f"{target} is not empty, and what it holds is no model.", "Name a new folder.")
    if not force:
        raise UsageError(f"{target} is not empty: it holds a model.", "Name a new folder, or replace it with --force.")


def nearest_folder(path: Path) -> Path:
    """Return the nearest folder above that is there."""
    return next(folder for folder in path.absolute().parents if folder.is_dir())


@contextlib.contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """Yield a folder that becomes ``target`` when the block ends, and is gone where it is left early.

    Raises:
        MistralError: it cannot be written.
    """
    target = target.absolute()
    temporary, old = (target.with_name(f".{target.name}.{os.getpid()}{suffix}") for suffix in (PARTIAL, _OLD))
    descriptor = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        descriptor = _locked(temporary)
        yield temporary
        if target.exists():
            target.rename(old)
        temporary.rename(target)
    except CheckpointError:
        raise
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MistralError(
            f"{target} cannot be written: {reason}.", "Name another folder, or free some space."
        ) from error
    finally:
        if old.exists() and not target.exists():  # the new one did not come: what was there comes back
            old.rename(target)
        for folder in (temporary, old):
            shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def _locked(folder: Path) -> int | None:
    """Say that this folder has a living writer, as long as this process lives; None where a system cannot.

    Raises:
        OSError: another process says so.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return None
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        lock(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(target: Path) -> None:
    """Remove what killed processes left half written beside ``target``; what they had put aside comes back."""
    name = re.compile(rf"\.{re.escape(target.name)}\.\d+({re.escape(PARTIAL)}|{re.escape(_OLD)})")
    try:
        found = sorted(path for path in target.parent.iterdir() if name.fullmatch(path.name))
    except OSError:  # no such folder yet
        return
    for partial in [path for path in found if path.suffix == PARTIAL]:
        with contextlib.suppress(OSError):  # somebody writes it
            _remove_left(partial)
    for old in [path for path in found if path.suffix == _OLD and not path.with_suffix(PARTIAL).exists()]:
        with contextlib.suppress(OSError):  # another process sweeps, too
            if not target.exists():
                old.rename(target)
            shutil.rmtree(old, ignore_errors=True)


def _remove_left(folder: Path) -> None:
    """Remove a half-written folder that nobody writes.

    Raises:
        OSError: somebody writes it, or it cannot be removed.
    """
    is_ours = folder.name.endswith(f".{os.getpid()}{PARTIAL}")  # we write none yet: the number is used again
    if not (is_ours or any(folder.iterdir())):  # an empty one is only about to be locked
        return
    descriptor = _locked(folder)
    shutil.rmtree(folder)
    if descriptor is not None:
        os.close(descriptor)


def write_json(path: Path, value: object) -> None:
    """Write a file of JSON and bring it to the disk."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    sync(path)


def copy(file: Path, to: Path) -> None:
    """Copy a file and bring it to the disk."""
    shutil.copyfile(file, to)
    sync(to)


def sync(path: Path) -> None:
    """Bring what was written into a file to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
