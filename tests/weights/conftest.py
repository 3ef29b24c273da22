"""A checkpoint to quantize, and a cache for its copies that writes down what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from quantized_copies import DENSE
from written_checkpoints import draw_weights, write_huggingface

from mistral_cli.weights.quantized_cache import QuantizedCache

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_huggingface(tmp_path / "model", DENSE, draw_weights(DENSE, torch.bfloat16))


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, said: list[str]) -> QuantizedCache:
    return QuantizedCache(folder=tmp_path / "home" / "quantized", notice=said.append, warn=said.append)
