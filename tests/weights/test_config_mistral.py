"""Mistral's own params.json becomes a shape; what is not ours to compute is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from written_checkpoints import DENSE, SPARSE, mistral_config
from written_configs import OWN, read, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs


@pytest.mark.parametrize("args", [DENSE, SPARSE], ids=["mistral", "mixtral"])
def test_mistrals_own_spelling_is_read(tmp_path: Path, args: ModelArgs) -> None:
    assert read(tmp_path, mistral_config(args), "params.json", max_seq_len=128) == args


def test_a_params_json_without_rotary_base_has_a_million_unless_it_has_a_window(tmp_path: Path) -> None:
    assert read(tmp_path, OWN, "params.json", rope_theta=...).rope_theta == 1e6
    assert "rope_theta" in refusal(tmp_path, OWN, "params.json", rope_theta=..., sliding_window=4096)


def test_a_params_json_that_states_no_length_has_that_of_the_models_that_do_not(tmp_path: Path) -> None:
    assert read(tmp_path, OWN, "params.json").max_position_embeddings == 32768


@pytest.mark.parametrize("key", ["sliding_window", "_sliding_window"])
@pytest.mark.parametrize(
    ("window", "expected"),
    [(16, 16), (None, None), ([16], 16), ([None, 16], (None, 16)), ([16, 16], 16), ([None], None)],
)
def test_one_window_or_a_repeating_list_is_read(tmp_path: Path, key: str, window: object, expected: object) -> None:
    assert read(tmp_path, OWN, "params.json", **{key: window}).sliding_window == expected


def test_a_list_of_windows_repeats_over_the_layers(tmp_path: Path) -> None:
    args = read(tmp_path, OWN, "params.json", n_layers=4, sliding_window=[None, 16])
    assert args.sliding_window == (None, 16, None, 16)


@pytest.mark.parametrize("window", [[16, 16, 16], [], ["a", 1], -1, True, "16"])
def test_a_list_of_windows_that_fits_no_layers_is_refused(tmp_path: Path, window: object) -> None:
    assert "sliding_window" in refusal(tmp_path, OWN, "params.json", sliding_window=window)


def test_two_windows_that_differ_are_refused(tmp_path: Path) -> None:
    assert "contradict" in refusal(tmp_path, OWN, "params.json", sliding_window=16, _sliding_window=8)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"vision_encoder": {"hidden_size": 1024}}, "vision_encoder"),
        ({"quantization": {"qformat_weight": "fp8_e4m3"}}, "quantization"),
        ({"yarn": {"factor": 16}}, "yarn"),
        ({"lora": {"rank": 64, "scaling": 2.0}}, "lora"),
        ({"model_type": "mamba"}, "mamba"),
        ({"activation": "gelu"}, "gelu"),
        ({"moe": {"num_experts": 4, "num_experts_per_tok": 2, "num_shared_experts": 1}}, "num_shared_experts"),
    ],
)
def test_a_params_json_of_another_model_is_refused_by_name(
    tmp_path: Path, change: dict[str, object], named: str
) -> None:
    assert named in refusal(tmp_path, OWN, "params.json", **change)


@pytest.mark.parametrize("key", [key for key in OWN if key != "rope_theta"])
def test_a_missing_key_of_params_json_is_named(tmp_path: Path, key: str) -> None:
    assert f"has no {key}" in refusal(tmp_path, OWN, "params.json", **{key: ...})
