"""What an adapter is, from its config and header alone: base, rank, targets, size, whether it fits a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mistral_cli.commands.sizes import size
from mistral_cli.errors import MistralError, UsageError

if TYPE_CHECKING:
    from mistral_cli.weights.adapters.files import AdapterFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFacts:
    """An adapter that nothing is wrong with, and what became of laying it against a model."""

    files: AdapterFiles
    name: str
    model: str | None
    """The model it was laid against; None: there is none to try."""
    objection: str = ""
    """Why it does not fit that; empty where it does."""


def find_adapter_folder(name: str, revision: str | None) -> Path | None:
    """Return the folder called ``name`` if it holds an adapter and no model; None where it is to be shown as a model.

    Raises:
        UsageError, ModelNotFoundError: as ``hub.find_folder``.
    """
    from mistral_cli.weights.adapters.lora_config import CONFIG
    from mistral_cli.weights.hub import find_folder
    from mistral_cli.weights.hub_cache import find_snapshot
    from mistral_cli.weights.hub_names import is_id

    if len(name) < 4096 and Path(name).is_file():
        return None
    folder = find_folder(name)
    if folder is None and is_id(name):
        folder = find_snapshot(name, revision)
    if folder is None or not (folder / CONFIG).is_file():
        return None
    return None if any((folder / other).exists() for other in ("config.json", "params.json")) else folder


def read_adapter(folder: Path, on: str | None) -> AdapterFacts:
    """Look at an adapter, and lay it against the model ``on``, else against its own base if that is on this disk.

    Raises:
        CheckpointError: it is damaged, or of a kind that is not computed here.
        MistralError: the model ``on`` is not there, or is not sound.
    """
    from mistral_cli.weights.adapters.files import find_adapter, match_adapter
    from mistral_cli.weights.adapters.places import adapter_name
    from mistral_cli.weights.config import read_args
    from mistral_cli.weights.files import find_files

    files = find_adapter(folder)
    model = _folder_of(on) if on is not None else _base_folder(files.config.base)
    objection = ""
    if model is not None:
        args = read_args(find_files(model).config)
        try:
            match_adapter(files, args)
        except MistralError as error:
            objection = error.message
    name = (on or files.config.base) if model is not None else None
    return AdapterFacts(files=files, name=adapter_name(folder), model=name, objection=objection)


def _folder_of(name: str) -> Path:
    from mistral_cli.weights.hub import full_name, resolve

    return resolve(full_name(name))


def _base_folder(base: str | None) -> Path | None:
    """Return the folder of the model it was trained on, if that is on this disk, and ours to compute."""
    from mistral_cli.weights.architecture import foreign_architecture

    try:
        folder = _folder_of(base or "")
        return folder if foreign_architecture(folder) is None else None
    except (MistralError, UsageError):
        return None


def adapter_rows(facts: AdapterFacts) -> Iterator[tuple[str, str]]:
    """Yield label and text of each line."""
    files, config = facts.files, facts.files.config
    yield "adapter", facts.name
    yield "path", str(files.folder)
    yield "kind", "LoRA, divided by the root of the rank (rsLoRA)" if config.rslora else "LoRA"
    yield "base", config.base or "not stated"
    ranks = sorted({config.rank_of(module) for module in files.layers})
    yield "rank", f"{ranks[0]:,}" if len(ranks) == 1 else f"{ranks[0]:,} to {ranks[-1]:,}, by patterns"
    scalings = sorted({config.scaling(module) for module in files.layers})
    scaled = f"{scalings[0]:g}" if len(scalings) == 1 else f"{scalings[0]:g} to {scalings[-1]:g}"
    yield "alpha", f"{config.alpha:g}: updates are multiplied by {scaled}"
    yield "targets", ", ".join(f"{name} in {_layers(count)}" for name, count in _targets(files).items())
    yield "parameters", f"{files.parameters:,}"
    yield "weights", f"{', '.join(_dtypes(files))}, {size(files.nbytes)}"
    yield "fits", _verdict(facts)


def adapter_json(facts: AdapterFacts) -> Mapping[str, object]:
    """Return the same for a program."""
    files, config = facts.files, facts.files.config
    return {
        "adapter": facts.name,
        "path": str(files.folder),
        "base": config.base,
        "rank": config.rank,
        "alpha": config.alpha,
        "rslora": config.rslora,
        "targets": _targets(files),
        "modules": len(files.layers),
        "parameters": files.parameters,
        "bytes": files.nbytes,
        "dtypes": _dtypes(files),
        "model": facts.model,
        "fits": None if facts.model is None else not facts.objection,
        "objection": facts.objection or None,
    }


def _verdict(facts: AdapterFacts) -> str:
    if facts.model is None:
        return "not tried: its base is not on this disk (--on MODEL tries another)"
    return f"not {facts.model}: {facts.objection}" if facts.objection else facts.model


def _targets(files: AdapterFiles) -> dict[str, int]:
    """Return the last part of the names of the layers that it adapts, and how many there are."""
    return dict(Counter(module.rpartition(".")[2] for module in files.layers))


def _layers(count: int) -> str:
    return f"{count:,} layer{'s' * (count != 1)}"


def _dtypes(files: AdapterFiles) -> list[str]:
    return sorted({tensor.dtype for pair in files.layers.values() for tensor in pair})
