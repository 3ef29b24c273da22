"""LoRA adapters of random numbers, for tests that need one and do not ask peft."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs

TARGETS = ("q_proj", "v_proj", "down_proj")


def write_adapter(folder: Path, args: ModelArgs, targets: tuple[str, ...] = TARGETS, seed: int = 3) -> Path:
    """Write an adapter of random numbers for the layers of a model of this shape whose names end so."""
    generator, tensors = torch.Generator().manual_seed(seed), {}
    for name, shape in args.tensor_shapes().items():
        if name.endswith(tuple(f"{target}.weight" for target in targets)):
            stem = "base_model.model." + name.removesuffix(".weight")
            tensors[f"{stem}.lora_A.weight"] = torch.randn(4, shape[1], generator=generator) * 0.1
            tensors[f"{stem}.lora_B.weight"] = torch.randn(shape[0], 4, generator=generator) * 0.1
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 16, "target_modules": list(targets)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
