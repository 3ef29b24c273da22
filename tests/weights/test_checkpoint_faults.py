"""Checkpoints that are damaged, incomplete or foreign are refused before anything is allocated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from written_checkpoints import (
    DENSE,
    SPARSE,
    draw_weights,
    huggingface_config,
    write_huggingface,
    write_json,
    write_mistral,
)

from mistral_cli.errors import CheckpointError
from mistral_cli.weights.checkpoint import load_model
from mistral_cli.weights.files import find_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

INDEX = "model.safetensors.index.json"
Weights = dict[str, "Tensor"]


def refusal(folder: Path) -> str:
    """Return the message with which ``folder`` is refused, nothing having been read into memory."""
    read: list[int] = []
    with pytest.raises(CheckpointError) as caught:
        load_model(folder, progress=lambda done, _: read.append(done))
    assert read == []
    assert str(folder) in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value.message


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """Return a folder of three shards."""
    return write_huggingface(tmp_path, DENSE, draw_weights(DENSE), shards=3)


# -- tensors that do not fit the config -------------------------------------------------------------------------------


def changed(folder: Path, change: Callable[[Weights], object]) -> str:
    """Return how a checkpoint is refused after ``change`` was made to its weights."""
    weights = draw_weights(DENSE)
    change(weights)
    return refusal(write_huggingface(folder, DENSE, weights))


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    assert "model.norm.weight is missing" in changed(tmp_path, lambda weights: weights.pop("model.norm.weight"))


def test_an_lm_head_that_is_missing_from_an_untied_model_is_named(tmp_path: Path) -> None:
    assert "lm_head.weight is missing" in changed(tmp_path, lambda weights: weights.pop("lm_head.weight"))


def test_a_tensor_too_many_is_named(tmp_path: Path) -> None:
    bias = {"model.layers.0.self_attn.q_proj.bias": torch.zeros(48)}
    message = changed(tmp_path, lambda weights: weights.update(bias))
    assert "model.layers.0.self_attn.q_proj.bias is not part of the model" in message


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    message = changed(tmp_path, lambda weights: weights.update({"lm_head.weight": torch.zeros(65, 32)}))
    assert "lm_head.weight has the shape [65, 32], not [64, 32]" in message


@pytest.mark.parametrize(
    ("dtype", "word"),
    [(torch.int8, "I8"), (torch.float8_e4m3fn, "F8_E4M3"), (torch.bool, "BOOL"), (torch.int64, "I64")],
)
def test_a_tensor_of_a_type_that_is_not_read_is_named(tmp_path: Path, dtype: torch.dtype, word: str) -> None:
    message = changed(tmp_path, lambda weights: weights.update({"lm_head.weight": torch.zeros(64, 32).to(dtype)}))
    assert f"lm_head.weight has the type {word}" in message


def test_five_names_are_said_and_the_others_counted(tmp_path: Path) -> None:
    def drop(weights: Weights) -> None:
        for name in [name for name in weights if ".layers.1." in name]:
            del weights[name]

    message = changed(tmp_path, drop)
    assert message.count("is missing") == 5
    assert "and 4 more" in message


def test_a_tensor_missing_from_mistrals_own_files_is_named_as_they_name_it(tmp_path: Path) -> None:
    weights = draw_weights(DENSE)
    del weights["model.layers.1.self_attn.q_proj.weight"]
    assert "layers.1.attention.wq.weight is missing" in refusal(write_mistral(tmp_path, DENSE, weights))


def test_fused_experts_of_another_number_do_not_fit(tmp_path: Path) -> None:
    weights = {name: weight for name, weight in draw_weights(SPARSE).items() if "layers.0.block" not in name}
    weights["model.layers.0.mlp.experts.gate_up_proj"] = torch.zeros(3, 96, 32)
    weights["model.layers.0.mlp.experts.down_proj"] = torch.zeros(3, 32)
    message = refusal(write_huggingface(tmp_path, SPARSE, weights))
    assert "model.layers.0.block_sparse_moe.experts.3.w1.weight is missing" in message


def test_the_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    assert "is missing" in refusal(write_huggingface(tmp_path, DENSE, {"wte.weight": torch.zeros(4)}))


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_truncated_shard_is_named_with_its_size_and_the_size_expected(sharded: Path) -> None:
    file = sharded / "model-00002-of-00003.safetensors"
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.truncate(size - 100)
    message = refusal(sharded)
    assert f"{file} is truncated: {size - 100:,} bytes, expected {size:,}" in message


def test_a_shard_that_is_a_git_lfs_pointer_says_so(sharded: Path) -> None:
    (sharded / "model-00002-of-00003.safetensors").write_text("version https://git-lfs.github.com/spec/v1\nsize 9\n")
    assert "model-00002-of-00003.safetensors is a git-lfs pointer" in refusal(sharded)


def test_a_shard_that_is_an_html_page_says_so(sharded: Path) -> None:
    (sharded / "model-00002-of-00003.safetensors").write_text("<!DOCTYPE html><html>Sign in</html>")
    assert "model-00002-of-00003.safetensors is an HTML page" in refusal(sharded)


@pytest.mark.parametrize("has_index", [True, False])
def test_a_missing_shard_is_named(sharded: Path, has_index: bool) -> None:
    (sharded / "model-00002-of-00003.safetensors").unlink()
    if not has_index:
        (sharded / INDEX).unlink()
    assert "model-00002-of-00003.safetensors is missing" in refusal(sharded)


def test_a_dangling_link_in_place_of_a_shard_names_both_ends(sharded: Path) -> None:
    (sharded / "model-00003-of-00003.safetensors").unlink()
    (sharded / "model-00003-of-00003.safetensors").symlink_to("../../blobs/gone")
    assert "model-00003-of-00003.safetensors is a link to ../../blobs/gone, which is not there" in refusal(sharded)


@pytest.mark.parametrize(
    "file", ["../secret.safetensors", "/etc/secret.safetensors", "a/../../b.safetensors", "..\\b.safetensors", "", 7]
)
def test_an_index_that_points_out_of_its_folder_is_refused_even_if_the_file_is_there(
    sharded: Path, file: object
) -> None:
    index = json.loads((sharded / INDEX).read_text())
    index["weight_map"]["model.norm.weight"] = file
    write_json(sharded / INDEX, index)
    (sharded.parent / "secret.safetensors").write_bytes((sharded / "model-00001-of-00003.safetensors").read_bytes())
    assert "is no safetensors file of its folder" in refusal(sharded)


@pytest.mark.parametrize("index", [[], {}, {"weight_map": None}, {"weight_map": {}}, {"weight_map": ["a"]}])
def test_an_index_that_is_none_is_refused(sharded: Path, index: object) -> None:
    write_json(sharded / INDEX, index)
    assert INDEX in refusal(sharded)


def test_an_index_that_names_the_wrong_shard_is_refused(sharded: Path) -> None:
    index = json.loads((sharded / INDEX).read_text())
    index["weight_map"]["model.norm.weight"] = "model-00001-of-00003.safetensors"
    index["weight_map"]["model.embed_tokens.weight"] = "model-00002-of-00003.safetensors"
    write_json(sharded / INDEX, index)
    assert "but it does not" in refusal(sharded)


def test_a_tensor_in_two_shards_is_refused(sharded: Path) -> None:
    whole = (sharded / "model-00001-of-00003.safetensors").read_bytes()
    (sharded / "model-00003-of-00003.safetensors").write_bytes(whole)
    assert "holds too" in refusal(sharded)


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    assert "holds no tensors" in refusal(write_huggingface(tmp_path, DENSE, {}))


def test_the_bytes_on_the_disk_are_those_of_all_shards(sharded: Path) -> None:
    files = find_files(sharded)
    assert files.nbytes == sum(file.stat().st_size for file in sharded.glob("*.safetensors"))
    assert files.nbytes > 4 * DENSE.parameters


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("pytorch_model.bin", "pickle"),
        ("consolidated.00.pth", "pickle"),
        ("model.gguf", "GGUF"),
        ("readme.md", "no model.safetensors"),
    ],
)
def test_a_folder_of_other_files_says_why_they_are_not_read(tmp_path: Path, file: str, said: str) -> None:
    write_json(tmp_path / "config.json", huggingface_config(DENSE))
    (tmp_path / file).write_bytes(b"x")
    assert said in refusal(tmp_path)


def test_a_folder_of_an_adapter_is_called_that(tmp_path: Path) -> None:
    write_json(tmp_path / "adapter_config.json", {})
    assert "adapter, not a model" in refusal(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    refusal(tmp_path)
