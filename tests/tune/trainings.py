"""What trainings in tests have in common: a model that is small enough, samples, and a watcher that remembers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from mistral_cli.tune.events import Evaluation, Job, Progress
from mistral_cli.tune.recipe import Recipe
from mistral_cli.tune.samples import Sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mistral_cli.measure.random_model import Layout
    from mistral_cli.model.args import MoeArgs

VOCABULARY = 64
RECIPE = Recipe(
    rank=4, targets="q,v", lr=0.01, batch=2, accumulate=2, steps=6, save_every=2, warmup=0.2, length=32, eval_split=0.0
)


def write_small_model(folder: Path, *, layout: Layout = "huggingface", moe: MoeArgs | None = None) -> Path:
    """Write a model of two layers and 64 tokens; no text comes out of it, but it learns."""
    from mistral_cli.measure.random_model import RandomModel, write_random_model
    from mistral_cli.model.args import ModelArgs

    args = ModelArgs(
        dim=64, n_layers=2, head_dim=16, hidden_dim=128, n_heads=4, n_kv_heads=2, vocab_size=VOCABULARY, moe=moe
    )
    write_random_model(folder, RandomModel(args=args, dtype=torch.float32, layout=layout))
    return folder


def make_rows(count: int, *, seed: int = 7) -> tuple[Sample, ...]:
    """Return samples of unequal lengths, of which the last ids are trained."""
    drawn = random.Random(seed)
    samples = []
    for number in range(count):
        size = drawn.randint(4, 12)
        ids = tuple(drawn.randrange(3, VOCABULARY) for _ in range(size))
        trained = tuple(at >= size // 2 for at in range(size))
        samples.append(Sample(ids=ids, trained=trained, number=number))
    return tuple(samples)


@dataclass
class Noted:
    """A watcher; ``after_step`` is called with each step's number, ``after_asking`` with each evaluation."""

    steps: list[Progress] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    after_step: Callable[[int], None] = lambda _: None
    after_asking: Callable[[Evaluation], None] = lambda _: None

    def progress(self, step: Progress) -> None:
        self.steps.append(step)
        self.after_step(step.step)

    def asking(self, asked: int, rows: int) -> None:
        self.asked.append((asked, rows))

    def evaluated(self, evaluation: Evaluation) -> None:
        self.evaluations.append(evaluation)
        self.after_asking(evaluation)

    def saved(self, step: int, folder: Path) -> None:
        self.folders.append(folder)

    def note(self, text: str) -> None:
        self.notes.append(text)

    @property
    def losses(self) -> list[float]:
        return [step.loss for step in self.steps]


def make_job(model: Path, folder: Path, *, resume: bool = False, apart: int = 0, **recipe: object) -> Job:
    """Return a job on the small model; ``recipe`` holds what is other than in ``RECIPE``."""
    rows = make_rows(11 + apart)
    return Job(
        model_folder=model,
        recipe=RECIPE.with_values(recipe),
        train=rows[:11],
        apart=rows[11:],
        folder=folder,
        resume=resume,
    )


def never() -> bool:
    return False
