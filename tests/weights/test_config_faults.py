"""Configs that are garbage, absurd or nowhere are refused before anything is allocated."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from written_checkpoints import DENSE, write_json
from written_configs import HF, HF_SPARSE, OWN, refusal

from mistral_cli.errors import CheckpointError, ModelNotFoundError
from mistral_cli.weights.config import read_args

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\x00\xff\xfe",
        b"[]",
        b'"text"',
        b"[" * 200_000,
        b'{"a": 1, "a": 2}',
        b"1" * 10_000,
        b"<html></html>",
    ],
    ids=["empty", "cut", "binary", "a list", "a string", "deep", "a key twice", "a huge number", "html"],
)
def test_garbage_in_place_of_a_config_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_args(tmp_path)


def test_a_config_of_many_megabytes_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(CheckpointError, match="larger than"):
        read_args(tmp_path)


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads", "head_dim"])
@pytest.mark.parametrize("value", [0, -1, 10**12, 10**400, 4.5, "32", True, [32], {}])
def test_absurd_sizes_are_refused(tmp_path: Path, key: str, value: object) -> None:
    refusal(tmp_path, HF, **{key: value})


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 10**400, "1e-5", True])
@pytest.mark.parametrize("key", ["rms_norm_eps", "rope_theta"])
def test_absurd_numbers_are_refused(tmp_path: Path, key: str, value: object) -> None:
    refusal(tmp_path, HF, **{key: value})


@pytest.mark.parametrize("key", ["num_local_experts", "num_experts_per_tok"])
@pytest.mark.parametrize("value", [0, 10**9, "8", None])
def test_absurd_numbers_of_experts_are_refused(tmp_path: Path, key: str, value: object) -> None:
    refusal(tmp_path, HF_SPARSE, **{key: value})


def test_layers_and_experts_that_are_absurd_together_are_refused_at_once(tmp_path: Path) -> None:
    refusal(tmp_path, HF_SPARSE, num_hidden_layers=1024, num_local_experts=4096)


@pytest.mark.parametrize(
    "key",
    ["architectures", "model_type", "rope_parameters", "quantization_config", "layer_types", "tie_word_embeddings"],
)
def test_a_value_of_the_wrong_kind_is_refused(tmp_path: Path, key: str) -> None:
    assert key in refusal(tmp_path, HF, **{key: 7})


def test_a_config_file_may_be_named_itself_whatever_it_is_called(tmp_path: Path) -> None:
    assert read_args(write_json(tmp_path / "a.json", HF)) == DENSE
    assert read_args(write_json(tmp_path / "b.json", OWN)) == replace(DENSE, max_position_embeddings=32768)


def test_a_path_where_nothing_is_means_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="nowhere"):
        read_args(tmp_path / "nowhere")


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json and no params\.json"):
        read_args(tmp_path)


def test_a_dangling_link_to_a_config_names_both_ends(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to("../blobs/gone")
    with pytest.raises(CheckpointError, match=r"config\.json is a link to \.\./blobs/gone, which is not there"):
        read_args(tmp_path)


def test_reading_configs_and_headers_does_not_import_torch() -> None:
    code = "import sys, mistral_cli.weights.config, mistral_cli.weights.formats; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to("/proc/self/mem")  # reading its beginning is an error for everybody
    with pytest.raises(CheckpointError, match="cannot be read: Input/output error"):
        read_args(tmp_path)
