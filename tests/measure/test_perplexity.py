"""Perplexity is what transformers computes by its own guide, and windows score every token once."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from mistral_cli.errors import UsageError
from mistral_cli.measure.perplexity import Perplexity, measure_perplexity
from mistral_cli.model.args import ModelArgs
from mistral_cli.model.transformer import Mistral

ARGS = ModelArgs(
    dim=64,
    n_layers=2,
    head_dim=16,
    hidden_dim=96,
    n_heads=4,
    n_kv_heads=2,
    vocab_size=101,
    sliding_window=None,
    max_position_embeddings=512,
)
IDS = torch.randint(0, 101, (330,), generator=torch.Generator().manual_seed(3)).tolist()


@pytest.fixture(scope="module")
def model() -> Mistral:
    made = Mistral(ARGS, torch.Generator().manual_seed(1), dtype=torch.float64).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(15 if weight.dim() == 2 else 1)
    return made


@pytest.fixture(scope="module")
def theirs(model: Mistral) -> MistralForCausalLM:
    config = MistralConfig(
        hidden_size=64,
        num_hidden_layers=2,
        head_dim=16,
        intermediate_size=96,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=101,
        rms_norm_eps=ARGS.norm_eps,
        sliding_window=None,
        max_position_embeddings=512,
        rope_parameters={"rope_type": "default", "rope_theta": ARGS.rope_theta},
        attn_implementation="sdpa",
    )
    made = MistralForCausalLM(config).to(torch.float64).eval()
    made.load_state_dict(model.state_dict())
    return made


def by_the_guide(theirs: MistralForCausalLM, ids: list[int], window: int, stride: int) -> float:
    """The loop of transformers' guide, each loss weighted by the labels that it is the mean of."""
    total, count, previous = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        end = min(begin + window, len(ids))
        tokens = torch.tensor([ids[begin:end]])
        labels = tokens.clone()
        labels[:, : previous - begin] = -100
        with torch.no_grad():
            loss = theirs(tokens, labels=labels).loss.item()
        scored = int((labels[:, 1:] != -100).sum())
        total, count, previous = total + loss * scored, count + scored, end
        if end == len(ids):
            break
    return math.exp(total / count)


@pytest.mark.parametrize(("window", "stride"), [(64, 32), (64, 64), (50, 13), (300, 299), (512, 256)])
def test_it_is_what_transformers_computes_by_its_own_guide(
    model: Mistral, theirs: MistralForCausalLM, window: int, stride: int
) -> None:
    ours = measure_perplexity(model, IDS, window=window, stride=stride, notify=lambda *_: None)
    # transformers takes its loss from logits cut to float32
    assert ours.value == pytest.approx(by_the_guide(theirs, IDS, window, stride), rel=1e-6)


def test_every_token_but_the_first_is_scored_once_and_progress_says_so(model: Mistral) -> None:
    seen: list[tuple[int, int]] = []
    measured = measure_perplexity(model, IDS, window=100, stride=40, notify=lambda *both: seen.append(both))
    assert measured.tokens == len(IDS) - 1
    assert measured.windows == len(seen) == 7
    assert seen[-1] == (329, 329)


def test_windows_that_do_not_overlap_leave_their_first_tokens_out(model: Mistral) -> None:
    assert measure_perplexity(model, IDS, window=33, stride=33, notify=lambda *_: None).tokens == 320


def test_a_model_that_knows_nothing_finds_every_token_as_unlikely() -> None:
    blank = Mistral(ARGS, torch.Generator().manual_seed(1))
    with torch.no_grad():
        blank.lm_head.weight.zero_()
    assert measure_perplexity(blank, IDS, window=64, stride=64, notify=lambda *_: None).value == pytest.approx(101)


def test_bits_per_byte_are_those_of_the_whole_text() -> None:
    measured = Perplexity(tokens=10, nats=40 * math.log(2), windows=1)
    assert measured.bits_per_byte(20) == pytest.approx(2)
    assert measured.value == pytest.approx(16)


@pytest.mark.parametrize(
    ("window", "stride", "count", "message"),
    [(1, 1, 9, "--window is 1"), (513, 1, 9, "2 to 512"), (8, 9, 9, "--stride is 9"), (8, 8, 1, "too short")],
)
def test_what_cannot_be_measured_is_refused(model: Mistral, window: int, stride: int, count: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        measure_perplexity(model, IDS[:count], window=window, stride=stride, notify=lambda *_: None)
