"""Which architecture a config names, and for how many tokens: enough to choose who computes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mistral_cli.errors import CheckpointError, ModelNotFoundError
from mistral_cli.weights.architecture import foreign_architecture, stated_positions

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, config: Any, name: str = "config.json") -> Path:
    (folder / name).write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"model_type": "mistral", "architectures": ["MistralForCausalLM"]}, None),
        ({"model_type": "mixtral"}, None),
        ({"architectures": ["MixtralForCausalLM"]}, None),
        ({"model_type": "mistral", "architectures": ["MistralForSequenceClassification"]}, None),
        ({"dim": 64}, None),
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "LlamaForCausalLM"),
        ({"model_type": "qwen2"}, "qwen2"),
        ({"architectures": ["GPT2LMHeadModel"]}, "GPT2LMHeadModel"),
        ({"model_type": "gemma", "architectures": ["MistralForCausalLM"]}, "gemma"),
        ({"model_type": "mistral3", "architectures": ["Mistral3ForConditionalGeneration"]}, "Mistral3ForConditionalGe"),
    ],
)
def test_only_what_is_neither_mistral_nor_mixtral_is_foreign(tmp_path: Path, config: Any, name: str | None) -> None:
    found = foreign_architecture(write(tmp_path, config))
    assert found == name if name is None else found.startswith(name)


def test_mistrals_own_config_is_ours(tmp_path: Path) -> None:
    assert foreign_architecture(write(tmp_path, {"dim": 64, "n_layers": 2}, "params.json")) is None


@pytest.mark.parametrize(
    ("config", "most"),
    [
        ({"max_position_embeddings": 512}, 512),
        ({"n_positions": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 99}}, 99),
        ({"max_position_embeddings": "many"}, None),
        ({}, None),
    ],
)
def test_the_positions_are_what_the_config_says(tmp_path: Path, config: Any, most: int | None) -> None:
    assert stated_positions(write(tmp_path, config)) == most


def test_a_config_that_is_missing_or_damaged_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        foreign_architecture(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="no JSON"):
        foreign_architecture(tmp_path)
    with pytest.raises(ModelNotFoundError):
        foreign_architecture(tmp_path / "nowhere")
