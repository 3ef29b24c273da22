"""Folders that transformers itself saves load here and compute what they compute there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    MinistralConfig,
    MistralConfig,
    MixtralConfig,
    PreTrainedConfig,
)

from mistral_cli.weights.checkpoint import load_model, read_args
from mistral_cli.weights.files import find_files, read_tensors

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "max_position_embeddings": 128,
}
TOKENS = torch.arange(2, 42)[None]

CONFIGS = {
    "mistral": MistralConfig(**SIZES, sliding_window=None, rms_norm_eps=1e-5),
    "windowed": MistralConfig(**SIZES, sliding_window=7),
    "wide heads": MistralConfig(**SIZES, sliding_window=None, head_dim=16),
    "another rotary base": MistralConfig(**SIZES, rope_parameters={"rope_theta": 1e6, "rope_type": "default"}),
    "tied": MistralConfig(**SIZES, tie_word_embeddings=True),
    "mixtral": MixtralConfig(**SIZES, num_local_experts=4),
    "ministral": MinistralConfig(
        **SIZES, head_dim=8, sliding_window=9, layer_types=["full_attention", "sliding_attention"]
    ),
}


def save(folder: Path, config: PreTrainedConfig, **options: object) -> torch.Tensor:
    """Save a model drawn from a fixed seed; return its logits in float64."""
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float64, attn_implementation="sdpa").eval()
    model.config._experts_implementation = "eager"
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.rand_like(weight) * 0.1)
        logits: torch.Tensor = model(TOKENS).logits
    model.save_pretrained(folder, **options)
    return logits


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_saved_model_gives_the_same_logits_here(tmp_path: Path, kind: str) -> None:
    expected = save(tmp_path, CONFIGS[kind])
    logits, _ = load_model(tmp_path)(TOKENS)
    assert logits.dtype == torch.float64
    assert (logits - expected).abs().max() < 1e-10


@pytest.mark.parametrize("kind", ["mistral", "mixtral"])
def test_a_saved_model_in_several_shards_gives_the_same_logits_here(tmp_path: Path, kind: str) -> None:
    expected = save(tmp_path, CONFIGS[kind], max_shard_size="30KB")
    assert len(find_files(tmp_path).weights) > 1
    assert (load_model(tmp_path)(TOKENS)[0] - expected).abs().max() < 1e-10


def test_experts_saved_as_transformers_5_fuses_them_give_the_same_logits(tmp_path: Path) -> None:
    expected = save(tmp_path, CONFIGS["mixtral"], save_original_format=False)
    assert any("gate_up_proj" in name for name in read_tensors(find_files(tmp_path)))
    assert (load_model(tmp_path)(TOKENS)[0] - expected).abs().max() < 1e-10


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_shapes_that_a_config_promises_are_those_that_were_saved(tmp_path: Path, kind: str) -> None:
    save(tmp_path, CONFIGS[kind])
    saved = {name: tensor.shape for name, tensor in read_tensors(find_files(tmp_path)).items()}
    assert read_args(tmp_path).tensor_shapes() == saved
