"""What happens around each step of a training: who watches is told, and it is saved, asked or ended where it is due."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from mistral_cli.tune.events import Progress
from mistral_cli.tune.training import checkpoints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mistral_cli.tune.training.loop import Training

Random = dict[str, "Tensor"]
"""Where torch's random numbers stand, by kind of device."""


class Follow(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Tells the watcher of steps, asks the rows kept apart when it is time, ends the training where that is wanted."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self._is_first = True

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Make up for what a training that goes on was ended before."""
        if self.training.is_to_be_asked():
            self.training.evaluate()

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """Remember the random numbers before the order of the rows is drawn, as who goes on draws it again."""
        self.training.random = _random_state()
        self._is_first = True

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Remember where the step began."""
        training = self.training
        training.begun, training.tokens = time.perf_counter(), 0
        if not self._is_first:
            training.random = _random_state()
        self._is_first = False

    def on_substep_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:
        """Where the training is to end in the middle of a step, save as if this step had not begun."""
        training = self.training
        if training.is_stopping():
            _set_random_state(training.random)
            control.should_training_stop = True
            control.should_save = training.last != checkpoints.place_of(training.job.folder, state.global_step)

    def on_step_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:
        """Save and end where that is asked; the last step is saved anyway."""
        if state.global_step == state.max_steps:
            return
        if self.training.is_stopping():
            control.should_save = control.should_training_stop = True
        else:
            control.should_evaluate = self.training.is_to_be_asked()

    def on_log(self, _: Any, state: Any, __: Any, logs: Mapping[str, float] | None = None, **___: Any) -> None:
        """Tell of a step."""
        training = self.training
        state.log_history.clear()  # it would be written into every checkpoint, longer each time
        if logs is None or "loss" not in logs:
            return
        seconds = time.perf_counter() - training.begun
        tokens = training.accelerator.reduce(torch.tensor(training.tokens, device=training.args.device))
        if state.is_world_process_zero:
            training.watcher.progress(
                Progress(
                    step=state.global_step,
                    steps=state.max_steps,
                    loss=logs["loss"],
                    learning_rate=logs["learning_rate"],
                    gradient_norm=logs["grad_norm"],
                    tokens=int(tokens),
                    seconds=seconds,
                )
            )


def _random_state() -> Random:
    states = {"cpu": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def _set_random_state(states: Random) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])
