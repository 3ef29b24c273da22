"""Models of random weights in memory have the bytes of real ones, each layer its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mistral_cli.measure.random_in_memory import random_in_memory
from mistral_cli.measure.weight_traffic import weight_bytes_per_token
from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.weights.methods import choose_method
from mistral_cli.weights.quantize import quantized_bytes

CPU = torch.device("cpu")
ARGS = ModelArgs(
    dim=128, n_layers=3, head_dim=32, hidden_dim=192, n_heads=4, n_kv_heads=2, vocab_size=320, sliding_window=None
)


@pytest.mark.parametrize("scheme", ["none", "nf4"])
def test_it_computes_and_has_as_many_bytes_as_the_plan_counts(scheme: str) -> None:
    method = choose_method(scheme, CPU)
    model = random_in_memory(ARGS, dtype=torch.bfloat16, device=CPU, method=method)
    held = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    assert held == (quantized_bytes(ARGS, torch.bfloat16, method) if method else 2 * ARGS.parameters)
    with torch.inference_mode():
        logits, _ = model(torch.tensor([[1, 2, 3]]))
    assert logits.isfinite().all()
    assert logits.std() > 0


@pytest.mark.parametrize("scheme", ["none", "nf4"])
def test_no_two_layers_share_their_memory(scheme: str) -> None:
    model = random_in_memory(ARGS, dtype=torch.bfloat16, device=CPU, method=choose_method(scheme, CPU))
    tensors = [*model.parameters(), *model.buffers()]
    assert len({tensor.data_ptr() for tensor in tensors}) == len(tensors)


def test_progress_ends_with_the_number_of_all_tensors() -> None:
    seen: list[tuple[int, int]] = []
    random_in_memory(ARGS, dtype=torch.bfloat16, device=CPU, progress=lambda *both: seen.append(both))
    count = len(ARGS.tensor_shapes())
    assert seen == [(done, count) for done in range(1, count + 1)]


def test_a_step_reads_every_weight_but_the_embeddings_other_rows() -> None:
    model = random_in_memory(ARGS, dtype=torch.bfloat16, device=CPU)
    assert weight_bytes_per_token(model) == 2 * (ARGS.parameters - 319 * 128)


def test_a_step_reads_a_tied_embedding_whole_because_it_is_the_head() -> None:
    args = replace(ARGS, tie_word_embeddings=True)
    assert weight_bytes_per_token(random_in_memory(args, dtype=torch.float32, device=CPU)) == 4 * args.parameters


def test_a_step_reads_the_experts_that_compute_a_token_and_no_others() -> None:
    args = replace(ARGS, moe=MoeArgs(num_experts=4, num_experts_per_tok=1), tie_word_embeddings=True)
    expert = 3 * 128 * 192
    read = weight_bytes_per_token(random_in_memory(args, dtype=torch.float32, device=CPU))
    assert read == 4 * (args.parameters - 3 * 3 * expert)
