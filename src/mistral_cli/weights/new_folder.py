"""A folder that is made whole: written beside its place, then renamed. Knows no model, no tensor and no terminal."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from mistral_cli.errors import CheckpointError, MistralError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def check_target(source: Path, target: Path, *, force: bool) -> None:
    """Refuse to write where something lies that must not go.

    Raises:
        UsageError: ``target`` is a file, the model itself, or holds something else than a model to be replaced.
    """
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
    temporary, old = (target.with_name(f".{target.name}.{os.getpid()}.{what}") for what in ("partial", "old"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
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
