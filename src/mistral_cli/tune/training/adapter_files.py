"""An adapter's two files, in PEFT's format, written so that they are whole or not there. Knows no training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import safetensors.torch

from mistral_cli.weights.adapters.lora_config import CONFIG, WEIGHTS
from mistral_cli.weights.half_written import half_written, sync_folder
from mistral_cli.weights.new_folder import sync

if TYPE_CHECKING:
    from pathlib import Path

_TOLD = (
    "base_model_name_or_path",
    "bias",
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "lora_alpha",
    "lora_dropout",
    "peft_type",
    "r",
    "target_modules",
    "task_type",
)
"""What the config says. An older peft refuses keys that it does not know; of all others new adapters have none."""
_IF_ANY = ("use_rslora", "rank_pattern", "alpha_pattern", "exclude_modules", "layers_to_transform", "layers_pattern")
"""What it says where it is set: of an adapter that was gone on from."""


def write_adapter(folder: Path, model: Any, *, base: str) -> None:
    """Write the adapter of peft's ``model``; a reader sees the old files, none, or both new ones.

    Args:
        folder: where; it exists.
        model: what peft made, with one adapter.
        base: what the adapter calls the model that it belongs to.

    Raises:
        OSError, SafetensorError: the disk does not take it; what was there is there.
    """
    from peft import get_peft_model_state_dict  # noqa: PLC0415 (6 s, and it may be absent)

    mine = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    # all of the base's state would unpack and repack its 4-bit layers
    tensors = get_peft_model_state_dict(model, state_dict=mine, save_embedding_layers=False)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with half_written(folder) as (_, weights), half_written(folder) as (_, config):
        safetensors.torch.save_file(plain, weights, metadata={"format": "pt"})
        sync(weights)
        config.write_text(json.dumps(_described(model, base), indent=2, sort_keys=True) + "\n", encoding="utf-8")
        sync(config)
        weights.replace(folder / WEIGHTS)
        config.replace(folder / CONFIG)  # last: without it the folder holds no adapter
    sync_folder(folder)


def _described(model: Any, base: str) -> dict[str, object]:
    """Return peft's own description of the adapter, as it is to be used from now on."""
    described = model.peft_config["default"].to_dict()
    described |= {"base_model_name_or_path": base, "inference_mode": True}
    for key in ("target_modules", "exclude_modules"):
        if isinstance(described[key], set | list | tuple):
            described[key] = sorted(described[key])
    return {key: described[key] for key in _TOLD} | {key: described[key] for key in _IF_ANY if described.get(key)}
