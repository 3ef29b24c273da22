"""Which files of a folder make up the checkpoint. Reads indexes and headers, never weights; knows no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.errors import CheckpointError, ModelNotFoundError
from mistral_cli.weights.json_file import check_is_file, read_object
from mistral_cli.weights.safetensors_header import TensorInfo, read_header

if TYPE_CHECKING:
    from pathlib import Path

HUGGINGFACE, MISTRAL = "model", "consolidated"
"""How the weight files of the two formats begin."""

CONFIGS = {HUGGINGFACE: ("config.json", "params.json"), MISTRAL: ("params.json", "config.json")}
"""Format -> names of its config, the first that is there counts."""

_AGAIN = "Fetch the model again."
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
_FOREIGN = {".bin": "pickle", ".pth": "pickle", ".pt": "pickle", ".ckpt": "pickle", ".gguf": "GGUF", ".h5": "HDF5"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFiles:
    """The files of one checkpoint, in one of the two formats."""

    format: str
    """``HUGGINGFACE`` or ``MISTRAL``."""
    config: Path
    weights: tuple[Path, ...]
    """One safetensors file, or all shards in order; each is there."""

    @property
    def nbytes(self) -> int:
        """Bytes of all weight files on the disk."""
        return sum(file.stat().st_size for file in self.weights)


def find_config(path: Path) -> Path:
    """Return the config of the model at ``path``: the file itself, or the one in the folder that its weights go with.

    Raises:
        ModelNotFoundError: nothing at ``path``.
        CheckpointError: a folder without a config.
    """
    if not path.is_dir():
        if not path.exists() and not path.is_symlink():
            raise ModelNotFoundError(f"There is no model at {path}.", "Check the path.")
        check_is_file(path)
        return path
    return _config_for(path, _complete_format(path) or HUGGINGFACE)


def find_files(folder: Path) -> CheckpointFiles:
    """Return the files to load: Hugging Face's where they are all there, else Mistral's own.

    Raises:
        ModelNotFoundError: nothing at ``folder``.
        CheckpointError: no config; no safetensors files; a shard missing; an index that points out of the folder.
    """
    if not folder.is_dir():
        raise ModelNotFoundError(f"There is no model folder at {folder}.", "Check the path.")
    chosen = _complete_format(folder)
    if chosen is None:
        raise _no_weights(folder)
    weights = _weights(folder, chosen)
    for file in weights:
        check_is_file(file)
    return CheckpointFiles(format=chosen, config=_config_for(folder, chosen), weights=weights)


def read_tensors(files: CheckpointFiles) -> dict[str, TensorInfo]:
    """Return every tensor of the checkpoint by its name in the files, without reading any weights.

    Raises:
        CheckpointError: a damaged header; no tensors; one in two shards; one that is not where the index says.
    """
    found: dict[str, TensorInfo] = {}
    for file in files.weights:
        for name, tensor in read_header(file).items():
            if name in found:
                raise CheckpointError(f"{file} holds {name!r:.120}, which {found[name].file.name} holds too.", _AGAIN)
            found[name] = tensor
    if not found:
        raise CheckpointError(f"{files.weights[0]} holds no tensors.", _AGAIN)
    _check_index(files, found)
    return found


def read_weight_map(index: Path) -> dict[str, str]:
    """Return an index file's tensor name -> file name, every file a plain name in the index's own folder.

    Raises:
        CheckpointError: not an index, or one that points out of its folder.
    """
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map.", _AGAIN)
    for file in weight_map.values():
        if not isinstance(file, str) or not file.endswith(".safetensors") or re.search(r"[/\\\0:]", file):
            raise CheckpointError(
                f"{index} points to {file!r:.120}, which is no safetensors file of its folder.", _AGAIN
            )
    return weight_map


def _complete_format(folder: Path) -> str | None:
    """Return the first format whose weights are all there, else the first that has any, else None."""
    begun = [stem for stem in (HUGGINGFACE, MISTRAL) if _weights(folder, stem)]
    complete = [stem for stem in begun if all(file.is_file() for file in _weights(folder, stem))]
    return next(iter(complete or begun), None)


def _weights(folder: Path, stem: str) -> tuple[Path, ...]:
    """Return one format's weight files, also those that should be there and are not."""
    single, index = folder / f"{stem}.safetensors", _index(folder, stem)
    if _is_there(single):
        return (single,)
    if _is_there(index):
        return tuple(folder / name for name in sorted(set(read_weight_map(index).values())))
    shards = [file for file in folder.glob(f"{stem}-*.safetensors") if _SHARD.search(file.stem)]
    total = max((int(match[2]) for file in shards if (match := _SHARD.search(file.stem))), default=0)
    return tuple(folder / f"{stem}-{number:05}-of-{total:05}.safetensors" for number in range(1, total + 1))


def _index(folder: Path, stem: str) -> Path:
    return folder / f"{stem}.safetensors.index.json"


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _config_for(folder: Path, chosen: str) -> Path:
    for name in CONFIGS[chosen]:
        if _is_there(folder / name):
            check_is_file(folder / name)
            return folder / name
    raise CheckpointError(f"{folder} holds no config.json and no params.json.", "Name a model's own folder.")


def _check_index(files: CheckpointFiles, found: dict[str, TensorInfo]) -> None:
    index = _index(files.config.parent, files.format)
    if files.weights[0].stem == files.format or not index.is_file():
        return
    for name, file in read_weight_map(index).items():
        if name not in found or found[name].file.name != file:
            raise CheckpointError(f"{index} says that {file} holds {name!r:.120}, but it does not.", _AGAIN)


def _no_weights(folder: Path) -> CheckpointError:
    """Say what is there instead of safetensors files."""
    if (folder / "adapter_config.json").is_file():
        hint = "Name the model that it was trained on, and this with --adapter."
        return CheckpointError(f"{folder} holds an adapter, not a model.", hint)
    for file in sorted(folder.iterdir()):
        kind = _FOREIGN.get(file.suffix)
        if kind == "pickle":
            why = "which can run code when it is opened, so it is never read"
            return CheckpointError(f"{file} is a pickle file, {why}.", "Use a checkpoint in safetensors files.")
        if kind:
            return CheckpointError(f"{file} is a {kind} file, which cannot be read.", "Use safetensors files.")
    return CheckpointError(f"{folder} holds no model.safetensors and no shards of one.", _AGAIN)
