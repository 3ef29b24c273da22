"""Checkpoints made for a test: the real files of a very small model with random weights and the official tokenizer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_tiny_model(folder: Path) -> Path:
    """Write a loadable model of two layers into ``folder``; it says nonsense, always the same for the same seed."""
    from mistral_cli.measure.random_model import RandomModel, write_random_model
    from mistral_cli.model.args import ModelArgs

    args = ModelArgs(
        dim=32, n_layers=2, head_dim=8, hidden_dim=64, n_heads=4, n_kv_heads=2, vocab_size=32768, sliding_window=None
    )
    write_random_model(folder, RandomModel(args=args))
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "mistral_cli_tokenizer": "v3"}))
    return folder
