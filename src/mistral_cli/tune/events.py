"""What a training tells while it runs, and what it leaves: the words between trainer and command. Knows no tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.tune.recipe import Recipe
    from mistral_cli.tune.samples import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training, before anything is loaded."""

    model_folder: Path
    """The base: safetensors files in Hugging Face's names, or in Mistral's own."""
    recipe: Recipe
    train: tuple[Sample, ...]
    apart: tuple[Sample, ...]
    """Samples that are never trained on, asked before and after; may be none."""
    folder: Path
    """Where the adapter goes; checkpoints lie in it while the training runs."""
    adapter: Path | None = None
    """The folder of one to go on from; the recipe names it, too."""
    resume: bool = False
    """Go on from the last whole checkpoint in ``folder``; from the beginning where there is none."""
    base: str = ""
    """What the adapter calls its base; by default ``model_folder``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step of the optimizer is done."""

    step: int
    """From 1."""
    steps: int
    """All that there will be."""
    loss: float
    """Mean over the trained tokens of this step, in nats."""
    learning_rate: float
    gradient_norm: float
    """Over all adapters, before it is clipped."""
    tokens: int
    """Ids that went through the model in this step, trained or not, padding left out."""
    seconds: float
    """That this step took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The samples kept apart, asked."""

    step: int
    """Steps done before; 0: the base alone."""
    loss: float
    """Mean over their trained tokens, in nats."""
    tokens: int
    """How many those are."""

    @property
    def perplexity(self) -> float:
        """The number of tokens the model is torn between: e to the loss; infinite where that is beyond a float."""
        return math.exp(self.loss) if self.loss < math.log(1e300) else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a training ended."""

    steps: int
    """Done in all, those before a resumption among them."""
    before: Evaluation | None
    """None where no samples were kept apart."""
    after: Evaluation | None
    """None also where it was interrupted."""
    between: tuple[Evaluation, ...] = ()
    """Those while it trained, in order."""
    folder: Path
    """Where the adapter is, or, of an interrupted training, the checkpoints."""
    interrupted: bool
    seconds: float
    peak_bytes: int
    """Most memory held at once: the GPU's where there is one, else this process's own."""

    @property
    def best(self) -> Evaluation | None:
        """The evaluation with the least loss, the first of them; None where the last one is missing."""
        if self.before is None or self.after is None:
            return None
        return min((self.before, *self.between, self.after), key=_loss)


def _loss(evaluation: Evaluation) -> float:
    return evaluation.loss


class Watcher(Protocol):
    """Who is told."""

    def progress(self, step: Progress) -> None:
        """Take note of a step."""

    def asking(self, asked: int, rows: int) -> None:
        """Take note of an evaluation that goes on: so many of so many rows are asked."""

    def evaluated(self, evaluation: Evaluation) -> None:
        """Take note of an evaluation."""

    def saved(self, step: int, folder: Path) -> None:
        """Take note of a checkpoint that is whole."""

    def note(self, text: str) -> None:
        """Show one line that is neither."""
