"""Checkpoints of a few thousand parameters with an official tokenizer, as a user's folder has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from mistral_cli.measure.random_model import RandomModel, write_random_model
from mistral_cli.model.args import ModelArgs

if TYPE_CHECKING:
    from pathlib import Path

VOCABULARIES = {"v1": 32000, "v3": 32768}


def tiny_args(vocab_size: int = 32768) -> ModelArgs:
    return ModelArgs(
        dim=16,
        n_layers=2,
        head_dim=8,
        hidden_dim=32,
        n_heads=4,
        n_kv_heads=2,
        vocab_size=vocab_size,
        max_position_embeddings=256,
        sliding_window=None,
        tie_word_embeddings=True,
    )


def write_checkpoint(
    folder: Path, *, version: str = "v3", dtype: torch.dtype = torch.float32, args: ModelArgs | None = None
) -> Path:
    """Write config and weights; the tokenizer is the one that mistral-common carries. The answers vary."""
    write_random_model(folder, RandomModel(args=args or tiny_args(VOCABULARIES[version]), dtype=dtype, seed=3))
    edit_config(folder, mistral_cli_tokenizer=version)
    weights = load_file(folder / "model.safetensors")
    for name, weight in weights.items():
        if weight.dim() > 1 and ".layers." in name:
            weight.mul_(30)
    save_file(weights, folder / "model.safetensors")
    return folder


def edit_config(folder: Path, name: str = "config.json", **values: object) -> None:
    """Set ``values`` in a JSON file of the folder, which is made if it is not there."""
    path = folder / name
    config = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(config | values))
