"""Checkpoints of random weights are ones that transformers, our reader and `Mistral(args, generator)` agree upon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from mistral_cli.errors import UsageError
from mistral_cli.measure.random_model import SHAPES, RandomModel, shape_named, write_random_model
from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.model.transformer import Mistral
from mistral_cli.weights.checkpoint import load_model, read_args

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ModelArgs(
    dim=64, n_layers=2, head_dim=24, hidden_dim=96, n_heads=4, n_kv_heads=2, vocab_size=101, sliding_window=8
)
ARGS = {
    "mistral": SMALL,
    "mixtral": replace(SMALL, moe=MoeArgs(num_experts=3), sliding_window=None),
    "windows per layer": replace(SMALL, sliding_window=(None, 8)),
    "tied": replace(SMALL, tie_word_embeddings=True),
}


def drawn(args: ModelArgs, dtype: torch.dtype, seed: int = 0) -> Mistral:
    return Mistral(args, torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("layout", ["huggingface", "mistral"])
@pytest.mark.parametrize("shape", ARGS)
def test_a_written_checkpoint_loads_as_the_model_that_the_seed_draws(tmp_path: Path, shape: str, layout: str) -> None:
    args = ARGS[shape]
    write_random_model(tmp_path, RandomModel(args=args, seed=7, dtype=torch.float64, layout=layout))
    assert read_args(tmp_path) == args
    expected = drawn(args, torch.float64, seed=7).state_dict()
    loaded = load_model(tmp_path).state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


@pytest.mark.parametrize("shape", ["mistral", "mixtral", "windows per layer"])
def test_transformers_reads_the_same_model(tmp_path: Path, shape: str) -> None:
    write_random_model(tmp_path, RandomModel(args=ARGS[shape], dtype=torch.float64))
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float64, attn_implementation="sdpa")
    if ARGS[shape].moe:
        theirs.config._experts_implementation = "eager"
    ids = torch.randint(0, 101, (1, 30), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours, _ = drawn(ARGS[shape], torch.float64)(ids)
        assert (theirs(ids).logits - ours).abs().max() < 1e-10


def test_mistrals_own_files_hold_queries_and_keys_in_interleaved_order(tmp_path: Path) -> None:
    write_random_model(tmp_path, RandomModel(args=SMALL, layout="mistral"))
    stored = load_file(tmp_path / "consolidated.safetensors")
    ours = drawn(SMALL, torch.bfloat16).state_dict()
    for theirs, name in (("wq", "q_proj"), ("wk", "k_proj")):
        weight = ours[f"model.layers.1.self_attn.{name}.weight"]
        first_head = [row for pair in range(12) for row in (pair, pair + 12)]
        assert torch.equal(stored[f"layers.1.attention.{theirs}.weight"][:24], weight[first_head])
    assert torch.equal(stored["layers.1.attention.wv.weight"], ours["model.layers.1.self_attn.v_proj.weight"])
    assert torch.equal(stored["output.weight"], ours["lm_head.weight"])


def test_large_models_are_split_into_shards_with_an_index(tmp_path: Path) -> None:
    write_random_model(tmp_path, RandomModel(args=SMALL, shard_bytes=40_000))
    shards = sorted(file.name for file in tmp_path.glob("*.safetensors"))
    assert shards[0] == f"model-00001-of-{len(shards):05}.safetensors"
    assert len(shards) > 3
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 2 * SMALL.parameters
    assert set(index["weight_map"].values()) == set(shards)
    for name in shards:
        held = load_file(tmp_path / name)
        assert len(held) == 1 or sum(tensor.nbytes for tensor in held.values()) <= 40_000
        assert all(index["weight_map"][tensor] == name for tensor in held)
    loaded, expected = load_model(tmp_path).state_dict(), drawn(SMALL, torch.bfloat16).state_dict()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


def test_writing_takes_the_memory_of_one_tensor(tmp_path: Path) -> None:
    program = (
        "import sys, torch; from pathlib import Path; from mistral_cli.model.args import ModelArgs; "
        "from mistral_cli.measure.random_model import RandomModel, write_random_model; "
        "peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]); "
        "args = ModelArgs(dim=768, n_layers=8, hidden_dim=3072, n_heads=8, vocab_size=768); before = peak(); "
        "write_random_model(Path(sys.argv[1]), RandomModel(args=args, dtype=torch.float32)); "
        "print((peak() - before) // 1024, args.parameters * 4 >> 20)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, env=os.environ
    )
    taken, written = map(int, done.stdout.split())
    assert written > 250
    assert taken < 80  # one tensor has 9 MiB


@pytest.mark.parametrize("name", SHAPES)
def test_every_named_shape_can_be_built(name: str) -> None:
    args = shape_named(name)
    assert sum(weight.numel() for weight in Mistral(args, device="meta").parameters()) == args.parameters


def test_an_unknown_shape_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageError, match=r"no shape '8b'; there are tiny, .*7b"):
        shape_named("8b")


def test_a_dtype_that_weights_are_not_stored_in_is_refused() -> None:
    with pytest.raises(UsageError, match="not stored as int8, but as one of bfloat16"):
        RandomModel(args=SMALL, dtype=torch.int8)


def test_windows_that_transformers_has_no_words_for_are_refused(tmp_path: Path) -> None:
    args = replace(SMALL, sliding_window=(4, 8))
    with pytest.raises(UsageError, match=r"one window, not \[4, 8\]"):
        write_random_model(tmp_path, RandomModel(args=args))
    write_random_model(tmp_path, RandomModel(args=args, layout="mistral"))
    assert read_args(tmp_path) == args
