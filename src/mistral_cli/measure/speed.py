"""How fast an engine reads prompts and writes answers, at several lengths and depths. Knows no text and no file.

Ids are drawn at random: speed does not depend on what they mean. Greedy, so that sampling is as short as it can be.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from mistral_cli.contract import SamplingParams, TokenDrawn, TokensDone
from mistral_cli.engine.batch import TokenRequest
from mistral_cli.measure.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mistral_cli.contract import Engine
    from mistral_cli.engine.generate import NativeEngine

Kind = Literal["prefill", "decode", "batch"]

FIRST_ID = 3
"""Below it are control tokens in all of Mistral's vocabularies."""

SHORT = 16
"""Tokens of the prompts of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure."""

    prompt_lengths: tuple[int, ...]
    depths: tuple[int, ...]
    """Tokens in the cache when decoding begins."""
    repeat: int
    tokens: int = 32
    """Tokens of each answer whose speed is measured."""

    @property
    def context(self) -> int:
        """Tokens that must fit."""
        return max((*self.prompt_lengths, *(depth + self.tokens for depth in self.depths)), default=0) + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing measured several times."""

    kind: Kind
    tokens: int
    """Of the prompt, or in the cache when decoding began."""
    seconds: Figure
    """To the first token for a prompt; of one step for decoding."""
    rows: int = 1
    """Sequences decoded side by side."""

    @property
    def speed(self) -> Figure:
        """Tokens a second, those of all rows together."""
        return self.seconds.per(self.tokens if self.kind == "prefill" else self.rows)

    def as_json(self) -> dict[str, object]:
        """Return what ``mistral bench`` prints of it."""
        what = {"kind": self.kind, "tokens": self.tokens, "rows": self.rows}
        return {**what, "tokens_per_second": self.speed.as_json(), "seconds": self.seconds.as_json()}


def measure_speed(engine: Engine, vocab_size: int, plan: Plan, notify: Callable[[str], None]) -> Iterator[Row]:
    """Yield a row for each length and depth of ``plan``; each is run once before it is measured.

    Args:
        engine: one that knows no EOS, or an answer may end before it was measured.
        vocab_size: ids run from 0 to one less.
        plan: what to measure.
        notify: told what is being done.

    Raises:
        ContextError: a length or depth that does not fit.
    """
    ids = _Ids(vocab_size)
    for length in sorted(plan.prompt_lengths):
        notify(f"Reading prompts of {length:,} tokens …")
        runs = [_answer(engine, ids.draw(length), 1) for _ in range(plan.repeat + 1)]
        seconds = Figure(tuple(done.seconds_to_first_token for done in runs[1:]))
        yield Row(kind="prefill", tokens=length, seconds=seconds)
    text = ids.draw(max(plan.depths, default=1))
    for depth in sorted(plan.depths):  # each goes on from the last one's cache
        notify(f"Decoding after {depth:,} tokens …")
        runs = [_answer(engine, text[:depth], plan.tokens + 1) for _ in range(plan.repeat + 1)]
        yield Row(kind="decode", tokens=depth, seconds=Figure(tuple(1 / done.tokens_per_second for done in runs[1:])))


def measure_batch(engine: NativeEngine, vocab_size: int, rows: int, plan: Plan, notify: Callable[[str], None]) -> Row:
    """Return the row of ``rows`` short prompts decoded side by side, run once before it is measured."""
    ids = _Ids(vocab_size)
    notify(f"Decoding {rows} answers side by side …")
    runs = [_batch_step(engine, [ids.draw(SHORT) for _ in range(rows)], plan.tokens) for _ in range(plan.repeat + 1)]
    return Row(kind="batch", tokens=SHORT, seconds=Figure(tuple(runs[1:])), rows=rows)


def _batch_step(engine: NativeEngine, prompts: list[list[int]], tokens: int) -> float:
    """Return the seconds of one step while every row decodes: none is read any more, and none has ended."""
    params = SamplingParams(temperature=0, max_tokens=2 * tokens)
    times: list[list[float]] = [[] for _ in prompts]
    requests = [TokenRequest(prompt=ids, params=params) for ids in prompts]
    with closing(engine.generate_many(requests, rows=len(prompts))) as events:
        for row, event in events:
            if isinstance(event, TokenDrawn):
                times[row].append(time.perf_counter())
            if min(map(len, times)) > tokens:
                break
    started = max(row[0] for row in times)
    later = [moment for row in times for moment in row if moment > started]
    return (max(later) - started) * len(prompts) / len(later)


class _Ids:
    """Draws ids, the same ones at every start of the program."""

    def __init__(self, vocab_size: int) -> None:
        self._vocab_size = vocab_size
        self._generator = torch.Generator().manual_seed(0)

    def draw(self, count: int) -> list[int]:
        ids: list[int] = torch.randint(FIRST_ID, self._vocab_size, (count,), generator=self._generator).tolist()
        return ids


def _answer(engine: Engine, prompt: list[int], tokens: int) -> TokensDone:
    *_, done = engine.generate(prompt, SamplingParams(temperature=0, max_tokens=tokens))
    assert isinstance(done, TokensDone)  # noqa: S101 (the engine's contract)
    return done
