"""An adapter's files: found, checked, matched to a model's layers by name and shape. Needs no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.errors import CheckpointError
from mistral_cli.weights.adapters.lora_config import CONFIG, PICKLE, WEIGHTS, LoraConfig, read_lora_config
from mistral_cli.weights.safetensors_header import read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.weights.safetensors_header import TensorInfo

_PREFIX = "base_model.model."
_NAME = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(\.default)?\.weight")
_STORED = frozenset({"BF16", "F16", "F32", "F64"})
"""Types that weights may have, as safetensors calls them."""
_LONGEST = 300
"""Characters of a layer's name."""
_NEVER = "which can run code when it is opened, so it is never read"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFiles:
    """An adapter on the disk, checked by itself; no weights read."""

    folder: Path
    config: LoraConfig
    layers: Mapping[str, tuple[TensorInfo, TensorInfo]]
    """Module name -> its down and its up matrix."""

    @property
    def parameters(self) -> int:
        """Numbers in all matrices."""
        return sum(tensor.shape[0] * tensor.shape[1] for pair in self.layers.values() for tensor in pair)

    @property
    def nbytes(self) -> int:
        """Bytes of all matrices on the disk."""
        return sum(tensor.nbytes for pair in self.layers.values() for tensor in pair)


def find_adapter(folder: Path) -> AdapterFiles:
    """Return the adapter in ``folder``, its config and headers checked.

    Raises:
        ModelNotFoundError: no such folder.
        CheckpointError: damaged, incomplete, pickled, of an unknown kind, or of another rank than it says.
    """
    config = read_lora_config(folder)
    path = folder / WEIGHTS
    if not (path.exists() or path.is_symlink()):
        raise _no_weights(folder)
    layers = _paired(path, read_header(path))
    _check_named(path, config, layers)
    for module, (down, up) in layers.items():
        _check_pair(config, module, down, up)
    return AdapterFiles(folder=folder, config=config, layers=layers)


def match_adapter(files: AdapterFiles, args: ModelArgs) -> None:
    """Check that every matrix has its layer in a model of this shape, and every layer aimed at its matrices.

    Raises:
        CheckpointError: an adapter for another model, or one that lacks a layer that it says it has.
    """
    shapes = linear_shapes(args)
    strange = [name for name in files.layers if name not in shapes]
    if strange:
        message = f"{files.folder / WEIGHTS} adapts {_some(strange)}, which this model does not have."
        raise CheckpointError(message, _made_for(files))
    for name, (down, up) in files.layers.items():
        if (up.shape[0], down.shape[1]) != shapes[name]:
            theirs, ours = f"{up.shape[0]:,} × {down.shape[1]:,}", "{:,} × {:,}".format(*shapes[name])
            message = f"{files.folder / WEIGHTS} is for another model: {name} is {theirs} there, {ours} here."
            raise CheckpointError(message, _made_for(files))
    missing = [name for name in shapes if name not in files.layers and files.config.targets_module(name)]
    if missing and not files.config.is_for_all:
        message = f"{files.folder / WEIGHTS} lacks {_some(missing)}, which {CONFIG} says it adapts."
        raise CheckpointError(message, "Fetch or train the adapter again.")


def linear_shapes(args: ModelArgs) -> dict[str, tuple[int, int]]:
    """Return the (outputs, inputs) of each linear layer of a model by its name."""
    return {
        name.removesuffix(".weight"): (shape[0], shape[1])
        for name, shape in args.tensor_shapes().items()
        if len(shape) == 2 and "embed_tokens" not in name
    }


def _paired(path: Path, tensors: Mapping[str, TensorInfo]) -> dict[str, tuple[TensorInfo, TensorInfo]]:
    sides: dict[str, dict[str, TensorInfo]] = {}
    for name, tensor in tensors.items():
        match = _NAME.fullmatch(name)
        is_named = match is not None and len(name) <= _LONGEST
        if match is None or not is_named or tensor.dtype not in _STORED or len(tensor.shape) != 2:
            what = f"{name!r:.120} ({tensor.dtype}, {len(tensor.shape)} axes)"
            raise CheckpointError(f"{path} holds {what}, no matrix of plain LoRA.", "Use an adapter of plain LoRA.")
        module, side = match["module"].removeprefix(_PREFIX), match["side"]
        if side in sides.setdefault(module, {}):
            message = f"{path} holds the matrix {side} of {module:.120} twice, under two names."
            raise CheckpointError(message, "Fetch or train the adapter again.")
        sides[module][side] = tensor
    if not sides:
        raise CheckpointError(f"{path} holds no tensors.", "Fetch or train the adapter again.")
    halves = [module for module, pair in sides.items() if len(pair) < 2]
    if halves:
        raise CheckpointError(f"{path} has one matrix of two for {_some(halves)}.", "Fetch or train it again.")
    return {module: (pair["A"], pair["B"]) for module, pair in sides.items()}


def _check_named(path: Path, config: LoraConfig, layers: Iterable[str]) -> None:
    """Refuse matrices that the config gives no layer: PEFT leaves them out without a word, and we would not."""
    strange = [] if config.targets in ("", ()) else [name for name in layers if not config.targets_module(name)]
    if strange and not config.is_for_all:
        message = f"{path} adapts {_some(strange)}, but {CONFIG} does not say so."
        raise CheckpointError(message, "Fetch or train the adapter again: they do not belong together.")


def _check_pair(config: LoraConfig, module: str, down: TensorInfo, up: TensorInfo) -> None:
    rank = config.rank_of(module)
    if down.shape[0] != rank or up.shape[1] != rank:
        found = f"{down.shape[0]} and {up.shape[1]}"
        message = f"{down.file}: {module} has matrices of rank {found}, but {CONFIG} says {rank}."
        raise CheckpointError(message, "Fetch or train the adapter again.")


def _no_weights(folder: Path) -> CheckpointError:
    if (folder / PICKLE).exists():
        message = f"{folder / PICKLE} is a pickle file, {_NEVER}."
        return CheckpointError(message, f"Save the adapter as {WEIGHTS}: peft does so by itself today.")
    return CheckpointError(f"{folder} holds no {WEIGHTS}.", "Fetch or train the adapter again.")


def _made_for(files: AdapterFiles) -> str:
    return (
        f"It was trained on {files.config.base}: use that." if files.config.base else "Use the model it was made for."
    )


def _some(names: Iterable[str], most: int = 5) -> str:
    listed = list(names)
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(name[:120] for name in listed[:most]) + more
