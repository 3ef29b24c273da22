"""Whether adapters fit a model, from configs and headers alone. Reads no weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError
from mistral_cli.weights.adapters.files import find_adapter, match_adapter
from mistral_cli.weights.adapters.places import adapter_folder
from mistral_cli.weights.config import read_args
from mistral_cli.weights.files import find_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


def check_adapters(model: Path, names: Sequence[str]) -> list[Path]:
    """Return the folders of the adapters called ``names``, each of which fits the model in the folder ``model``.

    Raises:
        ModelNotFoundError: one is not there.
        CheckpointError: one is damaged, of an unknown kind, or for another model; or the model is not sound.
        UsageError: one is named twice.
    """
    folders = find_adapters(names)
    if folders:
        args = read_args(find_files(model).config)
        for folder in folders:
            match_adapter(find_adapter(folder), args)
    return folders


def parameters_of(folders: Iterable[Path]) -> int:
    """Return how many numbers the adapters in these folders have together; raises as ``find_adapter`` does."""
    return sum(find_adapter(folder).parameters for folder in folders)


def find_adapters(names: Sequence[str]) -> list[Path]:
    """Return the folders of the adapters called ``names``, each of which is sound.

    Raises:
        ModelNotFoundError, CheckpointError, UsageError: as ``check_adapters``, but for the model.
    """
    folders = [adapter_folder(name) for name in names]
    for number, folder in enumerate(folders):
        if folder.resolve() in {other.resolve() for other in folders[:number]}:
            raise UsageError(f"The adapter {folder} is named twice.", "Name it once: PATH:2 makes it twice as strong.")
        find_adapter(folder)
    return folders
