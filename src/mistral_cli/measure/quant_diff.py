"""How far two models' words are apart on somebody's own text: KL divergence, top-1 agreement, first differing token.

The reference answers each prompt greedily; then both models' distributions are compared where they foretold that very
answer (or, of a text, every token of it). The first place where the other would have chosen another token is where its
own greedy answer would have left the reference's. The two are never in memory together: the reference's logits wait
in a file. Knows no tokenizer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import torch

from mistral_cli.contract import SamplingParams, TokenDrawn, TokensDone
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.measure.logits import logits_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from mistral_cli.model.transformer import Mistral

ROWS = 64
"""Positions compared at a time: their logits are held three times over, in float64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is given to the models."""

    ids: tuple[int, ...]
    whole: bool
    """Whether every one of ``ids`` is compared, not the answer alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A question and what the reference answered."""

    ids: tuple[int, ...]
    """What is read: the question and the answer, but for the answer's last id."""
    first: int
    """The number of the first id after which the models are compared."""
    drawn: tuple[int, ...]
    """The answer, and EOS where it ended so."""

    @property
    def positions(self) -> int:
        """How many distributions are compared."""
        return len(self.ids) - self.first


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What one case showed."""

    positions: int
    kl: float
    """The mean Kullback-Leibler divergence of the other model from the reference, in nats."""
    worst_kl: float
    """That of the worst position."""
    agreement: float
    """The share of positions, 0 to 1, where both find the same token the likeliest."""
    answer_tokens: int
    first_difference: int | None
    """The number, from 1, of the answer's first token that the other would choose differently; None: none."""


def answer_all(
    model: Mistral,
    questions: Sequence[Question],
    *,
    eos_ids: Sequence[int],
    tokens: int,
    logits: IO[bytes],
    notify: Callable[[int, int], None],
) -> list[Case]:
    """Let the reference answer each question with up to ``tokens``; write the logits to compare with to ``logits``."""
    longest = max((len(question.ids) for question in questions), default=0)
    engine = NativeEngine(model, context=longest + tokens + 1, eos_ids=eos_ids)
    cases = []
    for number, question in enumerate(questions, 1):
        case = _answered(engine, question, tokens, eos_ids[0])
        for rows in logits_from(model, case.ids, case.first):
            logits.write(rows.cpu().numpy().data)
        cases.append(case)
        notify(number, len(questions))
    return cases


def _answered(engine: NativeEngine, question: Question, tokens: int, eos_id: int) -> Case:
    drawn: list[int] = []
    for event in engine.generate(question.ids, SamplingParams(temperature=0, max_tokens=tokens)):
        if isinstance(event, TokenDrawn):
            drawn.append(event.id)
        elif isinstance(event, TokensDone) and event.answer_tokens > len(drawn):
            drawn.append(eos_id)  # the engine counts it, and does not tell it
    first = 0 if question.whole else len(question.ids) - 1
    return Case(ids=(*question.ids, *drawn[:-1]), first=first, drawn=tuple(drawn))


def compare_all(model: Mistral, cases: Sequence[Case], logits: IO[bytes]) -> Iterator[Difference]:
    """Yield how far ``model`` is from the reference in each case; ``logits`` is read from its beginning."""
    logits.seek(0)
    for case in cases:
        rows = [row for chunk in logits_from(model, case.ids, case.first) for row in _compare(chunk, logits)]
        yield _summed_up(case, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Some positions compared."""

    kl: Tensor
    agrees: Tensor
    chosen: Tensor
    """The ids that the other model finds likeliest."""


def _compare(others: Tensor, file: IO[bytes]) -> Iterator[_Rows]:
    """Compare logits (T, V) with the next T rows of the file."""
    for other in torch.split(others.cpu(), ROWS):
        content = bytearray(file.read(other.nbytes))
        reference = torch.frombuffer(content, dtype=other.dtype).view(other.shape)
        ours, theirs = reference.double().log_softmax(-1), other.double().log_softmax(-1)
        kl = (ours.exp() * (ours - theirs)).sum(-1)
        chosen = other.argmax(-1)
        yield _Rows(kl=kl, agrees=chosen == reference.argmax(-1), chosen=chosen)


def _summed_up(case: Case, rows: Sequence[_Rows]) -> Difference:
    kl, agrees = torch.cat([row.kl for row in rows]), torch.cat([row.agrees for row in rows])
    chosen: list[int] = torch.cat([row.chosen for row in rows])[-len(case.drawn) :].tolist()
    pairs = enumerate(zip(chosen, case.drawn, strict=True), 1)
    return Difference(
        positions=len(kl),
        kl=kl.mean().item(),
        worst_kl=kl.max().item(),
        agreement=agrees.double().mean().item(),
        answer_tokens=len(case.drawn),
        first_difference=next((number for number, (ours, theirs) in pairs if ours != theirs), None),
    )
