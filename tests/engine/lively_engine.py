"""A tiny model whose answers vary, the engine on it, and what it answers: for the tests of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mistral_cli.contract import SamplingParams, TokenDrawn, TokensDone
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.model.args import ModelArgs
from mistral_cli.model.transformer import Mistral

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistral_cli.contract import EngineEvent

ARGS = ModelArgs(
    dim=32,
    n_layers=3,
    head_dim=8,
    hidden_dim=64,
    n_heads=4,
    n_kv_heads=2,
    norm_eps=1e-5,
    vocab_size=97,
    max_position_embeddings=200,
    sliding_window=None,
)


GREEDY = SamplingParams(temperature=0)


PROMPT = tuple(range(3, 33))


def lively(args: ModelArgs = ARGS, seed: int = 2) -> Mistral:
    """Return a random model whose answers vary: layers that outweigh the embedding."""
    model = Mistral(args, torch.Generator().manual_seed(seed), dtype=torch.float64)
    with torch.no_grad():
        for weight in model.model.layers.parameters():
            if weight.dim() > 1:
                weight.mul_(30)
    return model


MODEL = lively()


def engine(model: Mistral = MODEL, *, eos: Sequence[int] = (), chunk: int = 256, context: int = 200) -> NativeEngine:
    return NativeEngine(model, context=context, eos_ids=eos, control_ids={1, 2}, chunk=chunk)


def ask(which: NativeEngine, prompt: Sequence[int] = PROMPT, **values: object) -> tuple[list[int], TokensDone]:
    params = GREEDY.with_values({"max_tokens": 12, **values})
    events = list(which.generate(prompt, params))
    done = events[-1]
    assert isinstance(done, TokensDone)
    return ids(events), done


def ids(events: Sequence[EngineEvent]) -> list[int]:
    return [event.id for event in events if isinstance(event, TokenDrawn)]


def by_hand(prompt: Sequence[int], count: int, model: Mistral = MODEL) -> list[int]:
    """Return the greedy answer from whole passes without any cache."""
    sequence = list(prompt)
    for _ in range(count):
        logits, _ = model(torch.tensor([sequence]))
        sequence.append(int(logits[0, -1].argmax()))
    return sequence[len(prompt) :]
