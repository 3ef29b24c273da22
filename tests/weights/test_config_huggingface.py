"""A config.json of transformers 4 or 5 becomes a shape; what is not ours to compute is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from written_checkpoints import DENSE, SPARSE, huggingface_config
from written_configs import HF, HF_SPARSE, read, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs


@pytest.mark.parametrize("args", [DENSE, SPARSE], ids=["mistral", "mixtral"])
def test_the_spelling_of_transformers_4_is_read(tmp_path: Path, args: ModelArgs) -> None:
    assert read(tmp_path, huggingface_config(args)) == args


def test_the_spelling_of_transformers_5_is_read(tmp_path: Path) -> None:
    settings = {"rope_theta": 1e6, "rope_type": "default"}
    assert read(tmp_path, HF, rope_theta=..., rope_parameters=settings, dtype="bfloat16", torch_dtype=...) == DENSE


def test_both_spellings_of_the_rotary_base_may_agree(tmp_path: Path) -> None:
    assert read(tmp_path, HF, rope_parameters={"rope_theta": 1000000, "rope_type": "default"}) == DENSE


def test_two_rotary_bases_that_differ_are_refused_with_both_values(tmp_path: Path) -> None:
    message = refusal(tmp_path, HF, rope_parameters={"rope_theta": 10000.0, "rope_type": "default"})
    assert "rope_theta is 1e+06" in message
    assert "rope_parameters.rope_theta is 10000" in message


def test_rotary_settings_per_layer_type_are_read_where_they_agree(tmp_path: Path) -> None:
    one = {"rope_theta": 1e6, "rope_type": "default"}
    settings = {"full_attention": one, "sliding_attention": one}
    assert read(tmp_path, HF, rope_theta=..., rope_parameters=settings).rope_theta == 1e6


def test_rotary_settings_per_layer_type_that_differ_are_refused(tmp_path: Path) -> None:
    settings = {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}
    assert "contradict" in refusal(tmp_path, HF, rope_theta=..., rope_parameters=settings)


@pytest.mark.parametrize("settings", [None, {}, {"type": "default"}, {"rope_type": "default"}])
def test_a_plain_rope_scaling_is_read(tmp_path: Path, settings: object) -> None:
    assert read(tmp_path, HF, rope_scaling=settings) == DENSE


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "linear"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "yarn"),
        ({"rope_parameters": {"rope_theta": 1e6, "rope_type": "llama3", "factor": 8.0}}, "llama3"),
        ({"rope_parameters": {"rope_theta": 1e6, "factor": 8.0}}, "factor"),
        ({"rope_parameters": {"rope_theta": 1e6, "partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"auto_map": {"AutoModelForCausalLM": "modeling.Mine"}}, "auto_map"),
        ({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}, "LlamaForCausalLM"),
        ({"architectures": ["MistralForSequenceClassification"]}, "MistralForSequenceClassification"),
        ({"architectures": ["Mistral3ForConditionalGeneration"], "model_type": "mistral3"}, "Mistral3"),
        ({"architectures": ..., "model_type": "qwen2"}, "qwen2"),
        ({"architectures": ["MistralForCausalLM"], "model_type": "gemma"}, "gemma"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "GPTQ"),
        ({"quantization_config": {"quant_method": "awq"}}, "AWQ"),
        ({"quantization_config": {"quant_method": "fp8"}}, "FP8"),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "compressed-tensors"),
        ({"layer_types": ["full_attention", "chunked_attention"]}, "chunked_attention"),
    ],
)
def test_what_is_not_ours_to_compute_is_refused_by_name(tmp_path: Path, change: dict[str, object], named: str) -> None:
    assert named in refusal(tmp_path, HF, **change)


@pytest.mark.parametrize(
    "key",
    [
        "hidden_size",
        "num_hidden_layers",
        "intermediate_size",
        "num_attention_heads",
        "num_key_value_heads",
        "rms_norm_eps",
        "vocab_size",
        "rope_theta",
        "max_position_embeddings",
    ],
)
def test_a_missing_key_is_named_and_no_default_is_guessed(tmp_path: Path, key: str) -> None:
    assert f"has no {key}" in refusal(tmp_path, HF, **{key: ...})


@pytest.mark.parametrize("key", ["num_local_experts", "num_experts_per_tok"])
def test_a_mixtral_without_its_experts_is_refused(tmp_path: Path, key: str) -> None:
    assert f"has no {key}" in refusal(tmp_path, HF_SPARSE, **{key: ...})


def test_a_config_that_names_no_kind_of_model_is_refused(tmp_path: Path) -> None:
    assert "model_type" in refusal(tmp_path, HF, model_type=..., architectures=...)


def test_the_model_type_or_the_architecture_alone_is_enough(tmp_path: Path) -> None:
    assert read(tmp_path, HF, architectures=...) == read(tmp_path, HF, model_type=...) == DENSE


def test_an_absent_head_dim_is_the_width_divided_by_the_heads(tmp_path: Path) -> None:
    assert read(tmp_path, HF, head_dim=...).head_dim == read(tmp_path, HF, head_dim=None).head_dim == 8


def test_an_absent_head_dim_that_would_not_be_whole_is_refused(tmp_path: Path) -> None:
    assert "has no head_dim" in refusal(tmp_path, HF, head_dim=..., num_attention_heads=6)


def test_key_value_heads_of_null_are_as_many_as_heads(tmp_path: Path) -> None:
    assert read(tmp_path, HF, num_key_value_heads=None).n_kv_heads == 4


def test_embeddings_are_tied_only_where_the_config_says_so(tmp_path: Path) -> None:
    assert not read(tmp_path, HF, tie_word_embeddings=...).tie_word_embeddings
    assert read(tmp_path, HF, tie_word_embeddings=True).tie_word_embeddings


def test_an_unsaid_window_is_refused_where_it_could_matter(tmp_path: Path) -> None:
    assert "has no sliding_window" in refusal(tmp_path, HF, sliding_window=..., max_position_embeddings=32768)
    assert read(tmp_path, HF, sliding_window=...).sliding_window is None
    assert read(tmp_path, HF_SPARSE, sliding_window=..., max_position_embeddings=32768).sliding_window is None


def test_a_window_per_layer_is_read_from_the_layer_types(tmp_path: Path) -> None:
    types = ["full_attention", "sliding_attention"]
    ministral = {"model_type": "ministral", "architectures": ["MinistralForCausalLM"]}
    assert read(tmp_path, HF, layer_types=types, sliding_window=16, **ministral).sliding_window == (None, 16)


def test_layer_types_that_are_all_the_same_make_one_window(tmp_path: Path) -> None:
    assert read(tmp_path, HF, layer_types=["sliding_attention"] * 2, sliding_window=16).sliding_window == 16
    assert read(tmp_path, HF, layer_types=["full_attention"] * 2, sliding_window=16).sliding_window is None


@pytest.mark.parametrize("types", [["full_attention"], "full_attention", ["sliding_attention"] * 2])
def test_layer_types_that_contradict_the_rest_are_refused(tmp_path: Path, types: object) -> None:
    assert "layer_types" in refusal(tmp_path, HF, layer_types=types)
