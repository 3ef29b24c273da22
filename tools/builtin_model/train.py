"""Trains the built-in guide on a CPU and writes its folder. The evaluation's questions are kept out of the training.

    python -m tools.builtin_model.train --out /tmp/guide
    python -m tools.builtin_model.train --start src/mistral_cli/builtin --phases more --out /tmp/guide

The first begins from chance, the second teaches something new to a guide that speaks. A training is made of phases. The
`first` learn to tell what is asked: answers are cut after a few ids, which is where the guide decides, so that a second
of work sees twice the questions. The `second` mend the answers' ends, in dialogues of several turns and against the
full vocabulary; `more` and `long` do both for a guide that has answers. README.md tells what made the stored weights.
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import torch
from tools.builtin_model import evaluate
from tools.builtin_model.corpus import FOLDER, Asker, Dialogue, Turn, normalised, read_toml
from tools.builtin_model.encode import Encoder, Sample
from tools.builtin_model.network import UNKNOWN, Compact, Guide, expand, shrink
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = logging.getLogger("train")
BUILTIN = FOLDER.parents[1] / "src" / "mistral_cli" / "builtin"
SHORT_ANSWER = 8  # ids of an answer that the first phase learns
CONTROL = 10  # ids below this are control tokens and never made unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of the training: which share of the steps, and what a batch is made of."""

    share: float
    tokens: int
    most_turns: int
    several: float
    """How many of the dialogues may have more than one turn; such a one is as long as a dozen short ones."""
    short: float
    """How many of the dialogues of one turn have their answer cut."""
    everything: bool


FIRST = (
    Phase(share=0.72, tokens=2560, most_turns=1, several=0, short=1, everything=False),
    Phase(share=0.22, tokens=4096, most_turns=5, several=0.5, short=0, everything=False),
    Phase(share=0.06, tokens=4096, most_turns=5, several=0.5, short=0, everything=True),
)
SECOND = (
    Phase(share=0.80, tokens=3072, most_turns=9, several=0.5, short=0.8, everything=False),
    Phase(share=0.20, tokens=3072, most_turns=9, several=0.5, short=0.5, everything=True),
)
MORE = (
    Phase(share=0.88, tokens=2560, most_turns=7, several=0.05, short=0.93, everything=False),
    Phase(share=0.12, tokens=2560, most_turns=7, several=0.05, short=0.85, everything=True),
)
"""What a guide that speaks already needs for new topics: above all, to tell what is asked."""

LONG = (Phase(share=1, tokens=3072, most_turns=9, several=0.2, short=0.9, everything=True),)
"""For the end, at a low rate: conversations of many turns, too."""
PHASES = {"first": FIRST, "second": SECOND, "more": MORE, "long": LONG}


def split_phrasings() -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """Return other people's phrasings: nine tenths to train on, one tenth (topic, question) to steer by."""
    training: dict[str, list[str]] = {}
    held_out: list[tuple[str, str]] = []
    for path in sorted(FOLDER.glob("phrasings_*.toml")):
        for topic, table in read_toml(path).items():
            for place, question in enumerate(table["questions"]):
                if place % 10 == 9:
                    held_out.append((topic, question))
                else:
                    training.setdefault(topic, []).append(question)
    known = {question.lower() for questions in training.values() for question in questions}
    return training, [(topic, question) for topic, question in held_out if question.lower() not in known]


def forbidden() -> frozenset[str]:
    """Return the evaluation's questions, normalised: no dialogue may hold one."""
    return frozenset(normalised(question) for _, question in evaluate.questions())


def batches(asker: Asker, encoder: Encoder, phase: Phase, rng: Random) -> Iterator[list[Sample]]:
    """Draw samples for ever, in batches of like lengths."""
    while True:
        samples = [_sample(asker, encoder, phase, rng) for _ in range(512)]
        samples = sorted((sample for sample in samples if len(sample.ids) <= 512), key=lambda sample: len(sample.ids))
        groups: list[list[Sample]] = [[]]
        for sample in samples:
            if len(sample.ids) * (len(groups[-1]) + 1) > phase.tokens:
                groups.append([])
            groups[-1].append(sample)
        rng.shuffle(groups)
        yield from groups


def _sample(asker: Asker, encoder: Encoder, phase: Phase, rng: Random) -> Sample:
    dialogue = asker.dialogue(phase.most_turns if rng.random() < phase.several else 1)
    sample = encoder.sample(dialogue)
    if len(dialogue.turns) > 1 or rng.random() >= phase.short:
        return sample
    end = sample.learnt.index(True) + SHORT_ANSWER
    return Sample(sample.ids[:end], sample.learnt[:end])


def forks(encoder: Encoder) -> frozenset[tuple[int, ...]]:
    """Return the beginnings, as ids, after which two answers differ: the next id is where the guide decides."""
    after: dict[tuple[int, ...], set[int]] = {}
    for topic, fact in read_toml(FOLDER / "facts.toml").items():
        sample = encoder.sample(Dialogue((Turn(topic, "?", fact["answer"]),)))
        said = sample.ids[sample.learnt.index(True) :]
        for length, token in enumerate(said):
            after.setdefault(said[:length], set()).add(token)
    return frozenset(begun for begun, tokens in after.items() if len(tokens) > 1)


def tensors(
    samples: Sequence[Sample], compact: Compact, decided: frozenset[tuple[int, ...]], rng: Random
) -> tuple[Tensor, Tensor, Tensor]:
    """Pad a batch; return compact ids, what is learnt and how much it counts, each (B, T).

    Now and then a word of a question becomes the unknown token: nothing but its neighbours tells what is asked.
    """
    length = max(len(sample.ids) for sample in samples)
    ids = torch.zeros(len(samples), length, dtype=torch.long)
    learnt = torch.zeros(len(samples), length, dtype=torch.bool)
    weight = torch.full((len(samples), length), 0.3)
    for place, sample in enumerate(samples):
        rows = compact.rows(sample.ids)
        rate, begin = rng.choice((0.0, 0.0, 0.03, 0.08)), 0
        for position, token in enumerate(sample.ids):
            if rate and not sample.learnt[position] and token >= CONTROL and rng.random() < rate:
                rows[position] = UNKNOWN
            if not sample.learnt[position]:
                begin = position + 1
            elif sample.ids[begin:position] in decided:
                weight[place, position] = 2
        ids[place, : len(rows)] = torch.tensor(rows)
        learnt[place, : len(rows)] = torch.tensor(sample.learnt)
    return ids, learnt, weight


def train(args: argparse.Namespace) -> None:
    """Train for ``steps`` optimizer steps, from ``start`` or from chance, and write the averaged weights to ``out``."""
    steps, seed, start = args.steps, args.seed, args.start
    rng = Random(seed)
    torch.manual_seed(seed)
    encoder = Encoder()
    extra, held_out = split_phrasings()
    asker = Asker(rng, encoder.words(), extra, forbidden(), frozenset(args.new.split(",")))
    begun = evaluate.load(start) if start else None
    compact = Compact((encoder.sample(dialogue) for dialogue in asker.dialogues(25_000)), 5, begun)
    guide = Guide(compact, args.dropout)
    if begun:
        shrink(begun, guide, compact)
        rng.seed(seed + 1)  # other dialogues than those of the first command
    log.info("%d rows, %d spoken, %d held out, %d parameters here", compact.size, len(compact.spoken), len(held_out),
             sum(parameter.numel() for parameter in guide.parameters()))  # fmt: skip
    average = copy.deepcopy(guide).eval()
    optimizer = torch.optim.AdamW(guide.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=0.05)
    decided = forks(encoder)
    step, begin, seen = 0, time.monotonic(), 0
    phases = PHASES[args.phases or ("second" if start else "first")]
    for phase in phases:
        source = batches(asker, encoder, phase, rng)
        end = steps if phase is phases[-1] else step + round(steps * phase.share)
        while step < end:
            ids, learnt, weight = tensors(next(source), compact, decided, rng)
            for group in optimizer.param_groups:
                group["lr"] = _rate(step, steps, args.rate)
            loss = guide.loss(ids, learnt, weight, everything=phase.everything)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(guide.parameters(), 1.0)
            optimizer.step()
            _blend(average, guide, min(0.997, (step + 1) / (step + 10)))
            step, seen = step + 1, seen + ids.numel()
            if step % 50 == 0:
                seconds = time.monotonic() - begin
                log.info("step %d loss %.4f, %.0f tokens/s, %.1f min", step, loss.item(), seen / seconds, seconds / 60)
            if step % 250 == 0 or step == steps:
                _steer(average, compact, encoder, held_out)
                evaluate.write(expand(average, compact), args.out)  # an interrupted run leaves something to look at


def _rate(step: int, steps: int, peak: float) -> float:
    if step < 100:
        return peak * (step + 1) / 100
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


@torch.no_grad()
def _blend(average: Guide, guide: Guide, keep: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(guide.parameters()), 1 - keep)


def _steer(guide: Guide, compact: Compact, encoder: Encoder, held_out: Sequence[tuple[str, str]]) -> None:
    """Log how many of the held-out phrasings get the right topic's first words."""
    if not held_out:
        return
    answers = evaluate.greedy(expand(guide, compact), encoder, [question for _, question in held_out], SHORT_ANSWER - 1)
    result = evaluate.judge_beginnings(held_out, answers)
    log.info("held out: %s", result.summary())
    log.info("missed: %s", " · ".join(result.failed))


def main() -> None:
    """Train, write the folder, say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2100)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--start", type=Path, help="a folder that the first command wrote")
    parser.add_argument("--new", default="", help="topics, with commas between, that are asked about more often")
    parser.add_argument("--phases", choices=PHASES, help="what to train on; by default `second` with --start")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=BUILTIN)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(args.threads)
    begin = time.monotonic()
    train(args)
    log.info("written to %s after %.1f minutes", args.out, (time.monotonic() - begin) / 60)


if __name__ == "__main__":
    main()
