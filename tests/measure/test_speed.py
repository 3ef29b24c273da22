"""The speed of an engine is measured by asking it, and each row says what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from mistral_cli.contract import PrefillProgress, TokensDone
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.errors import ContextError
from mistral_cli.measure.speed import Plan, measure_speed
from mistral_cli.model.args import ModelArgs
from mistral_cli.model.transformer import Mistral

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mistral_cli.contract import Cancel, EngineEvent, SamplingParams

ARGS = ModelArgs(
    dim=32, n_layers=2, head_dim=8, hidden_dim=64, n_heads=4, n_kv_heads=2, vocab_size=300, sliding_window=None
)


class ScriptedEngine:
    """Takes a hundredth of a second to read a token and, to write one, a second for each token before it."""

    context = 1000

    def __init__(self) -> None:
        self.asked: list[tuple[int, int | None]] = []

    def generate(
        self, prompt: Sequence[int], params: SamplingParams, *, cancel: Cancel | None = None
    ) -> Iterator[EngineEvent]:
        self.asked.append((len(prompt), params.max_tokens))
        yield PrefillProgress(0, len(prompt))
        yield TokensDone(
            reason="length",
            prompt_tokens=len(prompt),
            reused_tokens=0,
            answer_tokens=params.max_tokens or 0,
            seconds_to_first_token=0.01 * len(prompt),
            tokens_per_second=1 / len(prompt),
            seed=0,
            peak_memory=0,
        )


def test_each_length_and_depth_is_run_once_more_than_it_is_measured() -> None:
    engine = ScriptedEngine()
    rows = list(measure_speed(engine, 300, Plan(prompt_lengths=(50, 20), depths=(4,), repeat=2, tokens=8), str))
    assert engine.asked == [(20, 1)] * 3 + [(50, 1)] * 3 + [(4, 9)] * 3
    assert [(row.kind, row.tokens, len(row.seconds.values)) for row in rows] == [
        ("prefill", 20, 2),
        ("prefill", 50, 2),
        ("decode", 4, 2),
    ]


def test_speeds_are_tokens_over_the_seconds_that_the_engine_told() -> None:
    plan = Plan(prompt_lengths=(50,), depths=(4,), repeat=1)
    prefill, decode = measure_speed(ScriptedEngine(), 300, plan, str)
    assert prefill.speed.median == pytest.approx(100)
    assert prefill.seconds.median == pytest.approx(0.5)
    assert decode.speed.median == pytest.approx(0.25)
    assert decode.as_json()["tokens_per_second"]["median"] == pytest.approx(0.25)  # type: ignore[index]


def test_our_own_engine_is_measured_at_every_depth() -> None:
    engine = NativeEngine(Mistral(ARGS, torch.Generator().manual_seed(0)), eos_ids=(), context=128)
    plan = Plan(prompt_lengths=(8, 64), depths=(1, 100), repeat=1, tokens=4)
    assert plan.context == 106
    rows = list(measure_speed(engine, 300, plan, str))
    assert all(row.speed.median > 0 for row in rows)


def test_a_depth_that_does_not_fit_is_refused() -> None:
    engine = NativeEngine(Mistral(ARGS, torch.Generator().manual_seed(0)), eos_ids=(), context=32)
    with pytest.raises(ContextError, match="64"):
        list(measure_speed(engine, 300, Plan(prompt_lengths=(), depths=(64,), repeat=1), str))
