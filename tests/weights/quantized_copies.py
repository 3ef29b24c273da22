"""Models that are loaded from quantized copies: for the tests of those."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from written_checkpoints import DENSE as TINY

from mistral_cli.weights.checkpoint import load_model

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.model.transformer import Mistral
    from mistral_cli.weights.quantized_cache import QuantizedCache

DENSE = replace(TINY, dim=128, hidden_dim=192, head_dim=32, vocab_size=200)


def load(folder: Path, cache: QuantizedCache | None = None, scheme: str = "nf4") -> Mistral:
    return load_model(folder, "bfloat16", quantize=scheme, cache=cache)


def same(one: Mistral, other: Mistral) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def only(cache: QuantizedCache) -> Path:
    (entry,) = cache.entries()
    return entry.path
