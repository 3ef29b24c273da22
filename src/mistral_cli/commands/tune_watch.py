"""Who watches a training: the progress line, the metrics, Ctrl-C. Computes nothing."""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mistral_cli.commands.ending import ENDING
from mistral_cli.commands.tune_folder import Metrics
from mistral_cli.ui.console import Console
from mistral_cli.ui.interrupt import Interrupt
from mistral_cli.ui.progress import StepBar, time_left

if TYPE_CHECKING:
    from mistral_cli.tune.events import Evaluation, Progress

_RECENT: Final = 20
"""Steps whose mean the speed is."""
_MEASURED: Final = 3
"""Steps after which it is said how long it will take: the first one also warms up."""
_WORTH_SAYING: Final = 60.0
"""Seconds."""


@dataclass(slots=True, kw_only=True)
class Watch:
    """What is told of a training, in the terminal and in its file.

    Until the first step is done, Ctrl-C ends the program as anywhere: there is nothing to save. From then on it is
    noted, and the training saves and stops; a second one ends at once. Of several processes each notes it from the
    beginning: one that ended alone would leave the others waiting for it.
    """

    console: Console
    metrics: Metrics | None
    losses: list[float] = field(default_factory=list)
    """Of all steps, those before a resumption among them."""
    saved_step: int = 0
    """The last step of a whole checkpoint; 0: none."""
    interrupt: Interrupt = field(default_factory=Interrupt)
    _bar: StepBar = field(init=False)
    _recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _done: int = 0
    """Steps seen."""
    _steps: int = 0
    """All that there will be; 0: not known yet."""
    _listens: bool = False
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        """Begin with an empty line."""
        self._bar = StepBar(console=self.console, label="Training")

    def listen(self) -> None:
        """Note Ctrl-C from here on."""
        if not self._listens:
            self._open.enter_context(self.interrupt)
            self._listens = True

    def stopping(self) -> bool:
        """Tell whether the training shall save and stop."""
        return self.interrupt.is_set()

    def close(self) -> None:
        """Give Ctrl-C back to the program, and the line to whoever comes next."""
        self._open.close()
        self.console.clear_status()

    def progress(self, step: Progress) -> None:
        """Take note of a step."""
        ENDING.check()
        if not self._done:
            self._begin(step.step)
        self._done += 1
        self._steps = step.steps
        self.losses.append(step.loss)
        if self._done == 2:
            self._recent.clear()  # the first step also warmed up
        self._recent.append((step.tokens, step.seconds))
        if self.metrics is not None:
            self.metrics.add(
                {
                    "kind": "step",
                    "step": step.step,
                    "loss": step.loss,
                    "learning_rate": step.learning_rate,
                    "gradient_norm": step.gradient_norm,
                    "tokens": step.tokens,
                    "seconds": round(step.seconds, 4),
                }
            )
        self._tell(step)

    def _begin(self, first: int) -> None:
        self.listen()
        if self.metrics is not None:
            for record in self.metrics.earlier(first):
                loss = record.get("loss")
                if record["kind"] == "step" and isinstance(loss, int | float):
                    self.losses.append(float(loss))

    def _tell(self, step: Progress) -> None:
        tokens, seconds = (sum(column) for column in zip(*self._recent, strict=True))
        left = seconds / len(self._recent) * (step.steps - step.step)
        if self._done == _MEASURED and left >= _WORTH_SAYING:
            each = seconds / len(self._recent)
            self.console.notice(f"A step takes {each:.1f} s: about {time_left(left)} for the other steps.")
        if self.stopping():
            self.console.status("Saving …")
            return
        facts = (
            f"loss {step.loss:.3f}",
            f"{time_left(left)} left",
            f"{tokens / seconds if seconds else 0:,.0f} tok/s",
            f"lr {step.learning_rate:.1e}",
        )
        self._bar.update(step.step, step.steps, facts)

    def asking(self, asked: int, rows: int) -> None:
        """Take note of an evaluation that goes on."""
        ENDING.check()
        self.console.status(f"Asking the rows kept apart, {asked:,} of {rows:,} …")

    def evaluated(self, evaluation: Evaluation) -> None:
        """Take note of an evaluation; those before and after the training are told in the end."""
        ENDING.check()
        if self._done and evaluation.step < self._steps:
            told = f"loss {evaluation.loss:.3f}, perplexity {evaluation.perplexity:,.1f}"
            self.console.notice(f"After step {evaluation.step:,} the rows kept apart have {told}.")
        if self.metrics is not None:
            record = {
                "kind": "evaluation",
                "step": evaluation.step,
                "loss": evaluation.loss,
                "perplexity": evaluation.perplexity,
                "tokens": evaluation.tokens,
            }
            self.metrics.add(record, now=self._done > 0)

    def saved(self, step: int, folder: Path) -> None:  # noqa: ARG002 (who watches may want to know)
        """Take note of a checkpoint that is whole."""
        ENDING.check()
        self.saved_step = step

    def note(self, text: str) -> None:
        """Show one line that is neither."""
        ENDING.check()
        self.console.notice(text)
