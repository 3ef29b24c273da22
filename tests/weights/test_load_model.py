"""Both formats, in every spelling, fill the model with the very weights that were written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from written_checkpoints import (
    DENSE,
    SPARSE,
    draw_weights,
    huggingface_config,
    mistral_config,
    write_huggingface,
    write_json,
    write_mistral,
    write_weights,
)

from mistral_cli.errors import CheckpointError, ModelNotFoundError, OutOfMemoryError, UsageError
from mistral_cli.model.transformer import Mistral
from mistral_cli.weights.allocate import allocate
from mistral_cli.weights.checkpoint import load_model

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from mistral_cli.model.args import ModelArgs

TOKENS = torch.arange(20)[None]
BOTH = pytest.mark.parametrize("args", [DENSE, SPARSE], ids=["mistral", "mixtral"])


def assert_holds(model: Mistral, weights: dict[str, Tensor]) -> None:
    """Check that the model's parameters are exactly ``weights``, by name."""
    found = dict(model.named_parameters())
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)


@BOTH
@pytest.mark.parametrize("shards", [1, 3])
def test_every_weight_of_a_hugging_face_folder_is_in_its_place(tmp_path: Path, args: ModelArgs, shards: int) -> None:
    weights = draw_weights(args)
    assert_holds(load_model(write_huggingface(tmp_path, args, weights, shards=shards)), weights)


@BOTH
@pytest.mark.parametrize("shards", [1, 3])
def test_mistrals_own_files_give_the_same_weights_in_our_rotary_order(
    tmp_path: Path, args: ModelArgs, shards: int
) -> None:
    weights = draw_weights(args)
    assert_holds(load_model(write_mistral(tmp_path, args, weights, shards=shards)), weights)


@BOTH
def test_both_formats_give_equal_logits(tmp_path: Path, args: ModelArgs) -> None:
    weights = draw_weights(args)
    one = load_model(write_huggingface(tmp_path / "hf", args, weights), dtype=torch.float64)
    other = load_model(write_mistral(tmp_path / "own", args, weights), dtype=torch.float64)
    assert torch.equal(one(TOKENS)[0], other(TOKENS)[0])


def test_a_loaded_model_computes_what_the_model_it_was_saved_from_computes(tmp_path: Path) -> None:
    original = Mistral(DENSE, torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = {name: weight.detach().clone() for name, weight in original.named_parameters()}
    loaded = load_model(write_huggingface(tmp_path, DENSE, weights))
    assert torch.equal(loaded(TOKENS)[0], original(TOKENS)[0])


def test_shards_load_without_their_index(tmp_path: Path) -> None:
    weights = draw_weights(DENSE)
    write_huggingface(tmp_path, DENSE, weights, shards=3)
    (tmp_path / "model.safetensors.index.json").unlink()
    assert_holds(load_model(tmp_path), weights)


def test_the_fused_experts_that_transformers_5_has_in_memory_load(tmp_path: Path) -> None:
    weights, assert_same = draw_weights(SPARSE), assert_holds
    fused = {name: weight for name, weight in weights.items() if "block_sparse_moe" not in name}
    for layer in range(SPARSE.n_layers):
        ours, theirs = f"model.layers.{layer}.block_sparse_moe", f"model.layers.{layer}.mlp"
        experts = [{w: weights[f"{ours}.experts.{e}.{w}.weight"] for w in ("w1", "w2", "w3")} for e in range(4)]
        fused[f"{theirs}.gate.weight"] = weights[f"{ours}.gate.weight"]
        fused[f"{theirs}.experts.gate_up_proj"] = torch.stack([torch.cat([e["w1"], e["w3"]]) for e in experts])
        fused[f"{theirs}.experts.down_proj"] = torch.stack([e["w2"] for e in experts])
    assert_same(load_model(write_huggingface(tmp_path, SPARSE, fused)), weights)


# -- tied embeddings --------------------------------------------------------------------------------------------------

TIED = replace(DENSE, tie_word_embeddings=True)


def test_tied_embeddings_need_no_lm_head(tmp_path: Path) -> None:
    weights = draw_weights(TIED)
    model = load_model(write_huggingface(tmp_path, TIED, weights), dtype=torch.float64)
    assert_holds(model, {name: weight.double() for name, weight in weights.items()})
    untied = draw_weights(TIED) | {"lm_head.weight": weights["model.embed_tokens.weight"].clone()}
    other = load_model(write_huggingface(tmp_path / "untied", DENSE, untied), dtype=torch.float64)
    assert torch.equal(model(TOKENS)[0], other(TOKENS)[0])


def test_a_tied_lm_head_that_was_saved_all_the_same_is_no_fault(tmp_path: Path) -> None:
    weights = draw_weights(TIED)
    twice = weights | {"lm_head.weight": weights["model.embed_tokens.weight"].clone()}
    assert_holds(load_model(write_huggingface(tmp_path, TIED, twice)), weights)


def test_a_tied_lm_head_that_differs_from_the_embedding_is_refused(tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path, TIED, draw_weights(DENSE))
    with pytest.raises(CheckpointError, match="not the embedding"):
        load_model(folder)


# -- types, devices, progress -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_checkpoint_keeps_its_own_type_unless_another_is_asked_for(tmp_path: Path, dtype: torch.dtype) -> None:
    weights = draw_weights(DENSE, dtype)
    folder = write_huggingface(tmp_path, DENSE, weights)
    assert_holds(load_model(folder), weights)
    assert_holds(load_model(folder, dtype=torch.float32), {name: weight.float() for name, weight in weights.items()})


def test_a_checkpoint_of_several_types_becomes_the_one_that_most_of_it_has(tmp_path: Path) -> None:
    weights = draw_weights(DENSE, torch.bfloat16)
    mixed = {name: weight.float() if "norm" in name else weight for name, weight in weights.items()}
    assert_holds(load_model(write_huggingface(tmp_path, DENSE, mixed)), weights)


def test_a_type_may_be_asked_for_by_its_name(tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path, DENSE, draw_weights(DENSE))
    assert load_model(folder, dtype="float64", device="cpu").dtype == torch.float64
    with pytest.raises(UsageError, match="float8"):
        load_model(folder, dtype="float8")


def test_a_loaded_model_is_ready_to_compute(tmp_path: Path) -> None:
    model = load_model(str(write_huggingface(tmp_path, DENSE, draw_weights(DENSE))))
    assert not model.training
    assert not any(weight.requires_grad or weight.is_meta for weight in model.parameters())
    assert not any(buffer.is_meta for buffer in model.buffers())


def test_progress_counts_every_byte_of_the_weights(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    weights = draw_weights(DENSE, torch.bfloat16)
    load_model(
        write_huggingface(tmp_path, DENSE, weights, shards=2),
        dtype=torch.float32,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == sorted(seen)
    assert len(seen) == len(weights)
    assert seen[-1] == (2 * DENSE.parameters, 2 * DENSE.parameters)


def test_a_tensor_larger_than_any_memory_is_refused_as_such() -> None:
    with pytest.raises(OutOfMemoryError, match=r"140,737,488,355,328 bytes") as caught:
        allocate((2**45,), torch.float32, torch.device("cpu"))
    assert caught.value.exit_code == 5


def test_another_failure_of_the_device_is_not_called_want_of_memory() -> None:
    with pytest.raises(RuntimeError, match="negative dimension"):
        allocate((-1,), torch.float32, torch.device("cpu"))


def test_a_file_whose_tensors_are_not_aligned_loads(tmp_path: Path) -> None:
    weights = draw_weights(DENSE)
    folder = write_huggingface(tmp_path, DENSE, weights)
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.dumps(json.loads(whole[8 : 8 + length])).encode()
    header += b" " * (1 - (8 + len(header)) % 2)  # data begin at an odd place
    assert (8 + len(header)) % 2 == 1
    file.write_bytes(len(header).to_bytes(8, "little") + header + whole[8 + length :])
    assert_holds(load_model(folder), weights)


# -- which files ------------------------------------------------------------------------------------------------------


def test_hugging_faces_files_are_preferred_where_a_folder_holds_both_formats(tmp_path: Path) -> None:
    weights = draw_weights(DENSE)
    write_mistral(tmp_path, DENSE, {name: torch.zeros_like(weight) for name, weight in weights.items()})
    assert_holds(load_model(write_huggingface(tmp_path, DENSE, weights)), weights)


def test_mistrals_own_files_are_taken_where_the_others_are_incomplete(tmp_path: Path) -> None:
    weights = draw_weights(DENSE)
    write_huggingface(tmp_path, DENSE, {name: torch.zeros_like(weight) for name, weight in weights.items()}, shards=2)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    assert_holds(load_model(write_mistral(tmp_path, DENSE, weights)), weights)


def test_either_config_goes_with_either_weights(tmp_path: Path) -> None:
    weights = draw_weights(DENSE)
    write_mistral(tmp_path / "own", DENSE, weights)
    (tmp_path / "own" / "params.json").unlink()
    write_json(tmp_path / "own" / "config.json", huggingface_config(DENSE))
    assert_holds(load_model(tmp_path / "own"), weights)
    (tmp_path / "hf").mkdir()
    write_weights(tmp_path / "hf", "model", weights)
    write_json(tmp_path / "hf" / "params.json", mistral_config(DENSE))
    assert_holds(load_model(tmp_path / "hf"), weights)


@pytest.mark.parametrize(
    "name", ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq", "rope.freqs"]
)
def test_tables_that_old_programs_saved_are_ignored(tmp_path: Path, name: str) -> None:
    weights = draw_weights(DENSE)
    assert_holds(load_model(write_huggingface(tmp_path, DENSE, weights | {name: torch.ones(6)})), weights)


def test_a_folder_that_is_not_there_means_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="nowhere"):
        load_model(tmp_path / "nowhere")


def test_mistrals_own_rotation_of_its_own_files_gives_our_attention_scores(tmp_path: Path) -> None:
    """Mistral turns neighbouring numbers as one complex number (mistral-inference, ``rope.py``), we turn two halves."""
    folder = write_mistral(tmp_path, DENSE, draw_weights(DENSE, torch.float64))
    hidden = torch.rand(5, DENSE.dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    angles = torch.outer(torch.arange(5), 1e6 ** (-torch.arange(0, 12, 2).double() / 12))  # (T, D/2)
    own = load_file(folder / "consolidated.safetensors")
    theirs = [
        torch.view_as_real(
            torch.view_as_complex((hidden @ own[f"layers.0.attention.{name}.weight"].T)[:, :12].reshape(5, 6, 2))
            * torch.polar(torch.ones_like(angles), angles)
        ).flatten(1)
        for name in ("wq", "wk")
    ]
    attention = load_model(folder).model.layers[0].self_attn
    ours = []
    for projection in (attention.q_proj, attention.k_proj):
        first, second = projection(hidden)[:, :12].chunk(2, -1)
        turned = (first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin())
        ours.append(torch.cat(turned, -1))
    assert (ours[0] @ ours[1].T - theirs[0] @ theirs[1].T).abs().max() < 1e-12
