"""The configs of published models, and of a small one: for the tests of what is told of a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mistral_cli.model.args import ModelArgs

if TYPE_CHECKING:
    from pathlib import Path

    Config = dict[str, object]

MISTRAL: Config = {
    "architectures": ["MistralForCausalLM"],
    "model_type": "mistral",
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 32768,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 32000,
}
LARGE = {"hidden_size": 5120, "head_dim": 128, "num_hidden_layers": 40, "vocab_size": 131072}
MINISTRAL = {"num_hidden_layers": 36, "intermediate_size": 12288, "head_dim": 128, "vocab_size": 131072}
MIXTRAL = {
    "architectures": ["MixtralForCausalLM"],
    "model_type": "mixtral",
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}
PUBLISHED = {
    "Mistral-7B-v0.1": (MISTRAL | {"sliding_window": 4096, "rope_theta": 10000.0}, 7_241_732_096),
    "Mistral-7B-v0.3": (MISTRAL | {"vocab_size": 32768}, 7_248_023_552),
    "Mistral-Nemo-12B": (MISTRAL | LARGE | {"max_position_embeddings": 131072}, 12_247_782_400),
    "Ministral-8B-2410": (MISTRAL | MINISTRAL | {"sliding_window": 32768, "rope_theta": 1e8}, 8_019_808_256),
    "Mistral-Small-24B-2501": (MISTRAL | LARGE | {"intermediate_size": 32768, "rope_theta": 1e8}, 23_572_403_200),
    "Mixtral-8x7B": (MISTRAL | MIXTRAL, 46_702_792_704),
}
"""Model -> its published config, its published number of parameters."""

SMALL = ModelArgs(
    dim=32,
    n_layers=3,
    head_dim=8,
    hidden_dim=48,
    n_heads=4,
    n_kv_heads=2,
    vocab_size=64,
    rope_theta=1e6,
    max_position_embeddings=128,
    sliding_window=16,
)
SMALL_CONFIG = MISTRAL | {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "head_dim": 8,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "max_position_embeddings": 128,
    "sliding_window": 16,
}


def write_config(folder: Path, config: Config) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder
