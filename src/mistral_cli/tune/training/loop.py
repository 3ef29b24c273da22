"""transformers' Trainer, watched: it tells what it does, stops where nothing is learnt, and saves whole checkpoints.

What is overridden are the seams that transformers documents for it, and ``_save_checkpoint``, for which there is none.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from mistral_cli.tune.events import Progress
from mistral_cli.tune.steps import count_steps
from mistral_cli.tune.training import checkpoints, guard
from mistral_cli.tune.training.adapter_files import write_adapter
from mistral_cli.tune.training.checkpoints import Checkpoint
from mistral_cli.tune.training.collate import collate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from mistral_cli.tune.events import Evaluation, Job, Watcher
    from mistral_cli.tune.recipe import Recipe
    from mistral_cli.tune.samples import Sample

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""A recipe's name of a schedule -> transformers'."""

Random = dict[str, "Tensor"]
"""Where torch's random numbers stand, by kind of device."""


def make_arguments(recipe: Recipe, folder: Path, sequences: int) -> TrainingArguments:
    """Return a recipe for so many rows in transformers' words, which find out where this runs and with what others.

    On a GPU the base computes in bfloat16 under autocast, and QLoRA's optimizer keeps its state where there is room
    (Dettmers et al., arXiv:2305.14314, section 3). On a CPU everything is computed in the type that it has.
    """
    cuda = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.accumulate,
        learning_rate=recipe.lr,
        lr_scheduler_type=_SCHEDULES[recipe.schedule],
        optim="paged_adamw_32bit" if cuda and recipe.quantize == "nf4" else "adamw_torch",
        weight_decay=0.0,
        max_grad_norm=1.0,
        bf16=cuda and torch.cuda.is_bf16_supported(),
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=recipe.save_every,
        seed=recipe.seed,
        report_to="none",
        disable_tqdm=True,
        log_level="critical",
        log_level_replica="critical",
        remove_unused_columns=False,
        dataloader_pin_memory=cuda,
        ddp_find_unused_parameters=False,
    )
    arguments.max_steps = count_steps(sequences, recipe, processes=arguments.world_size)
    arguments.warmup_steps = int(recipe.warmup * arguments.max_steps)
    arguments._n_gpu = min(arguments.n_gpu, 1)  # without a launcher, one GPU: copies of 4-bit weights cannot be made
    return arguments


class Training(Trainer):  # type: ignore[misc]  # transformers has no types
    """One training of one adapter.

    Args:
        job: what is trained; its folder is where checkpoints go.
        model: peft's, on its device.
        rows: what each sequence holds.
        arguments: of ``make_arguments``.
        watcher: told of each step and checkpoint, by the main process alone.
        stopping: asked after each pass; True ends the training with the last whole step.
    """

    def __init__(
        self,
        job: Job,
        model: Any,
        rows: Sequence[Sequence[Sample]],
        arguments: TrainingArguments,
        watcher: Watcher,
        stopping: Callable[[], bool],
    ) -> None:
        super().__init__(
            model=model, args=arguments, train_dataset=list(rows), data_collator=collate, callbacks=[_Follow(self)]
        )
        self.remove_callback(PrinterCallback)
        self.job, self.watcher, self._stopping = job, watcher, stopping
        self.identity: Mapping[str, object] = {}
        self.before: Evaluation | None = None
        self.last: Path | None = None
        """The last whole checkpoint."""
        self.interrupted = False
        self.tokens = 0
        """Ids that went through the model since the step began."""
        self.begun = 0.0
        """When the step began, by ``time.perf_counter``."""
        self.random: Random = {}
        """As the step began."""

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Add one batch's gradients, and refuse to go on where they say nothing."""
        step = self.state.global_step + 1
        self.tokens += int(inputs.pop("tokens"))
        guard.check_unpacked(self.model, step, self.last)
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        guard.check_loss(loss, step, self.last)
        if self.accelerator.sync_gradients and not (self.is_deepspeed_enabled or self.is_fsdp_enabled):
            guard.check_gradients(self.model, step, self.last)  # those two keep gradients in places of their own
        return loss

    def is_stopping(self) -> bool:
        """Tell whether the training is to end, in all processes at once."""
        asked = torch.tensor(float(self._stopping()), device=self.args.device)
        self.interrupted = bool(self.accelerator.reduce(asked, reduction="sum") > 0)
        return self.interrupted

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the adapter alone, by the main process."""
        folder = Path(output_dir or self.args.output_dir)
        if self.args.should_save:
            folder.mkdir(parents=True, exist_ok=True)
            write_adapter(folder, self.model, base=str(self.job.model_folder))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint beside its place, then put it there; the main process does, the others add their part."""
        step = self.state.global_step
        guard.check_weights(self.model, step, self.last)
        place = checkpoints.place_of(self.job.folder, step)
        checkpoint = Checkpoint(step=step, folder=place, identity=self.identity, before=self.before)
        try:
            self._write(checkpoint, model, trial)
        except (OSError, SafetensorError, RuntimeError) as error:
            checkpoints.sweep(self.job.folder)
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
            message = f"The checkpoint of step {step:,} cannot be written ({reason})"
            raise guard.stopped(message, "Free some space, then go on with --resume", self.last) from error
        self.last = place
        if self.is_world_process_zero():
            self.watcher.saved(step, place)

    def _write(self, checkpoint: Checkpoint, model: Any, trial: Any) -> None:
        folder, output = self.job.folder, self.args.output_dir
        if self.args.should_save:
            checkpoints.begin(folder)
        self.accelerator.wait_for_everyone()
        self.args.output_dir = str(checkpoints.partial(folder))
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.output_dir = output
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            checkpoints.finish(folder, checkpoint)
        self.accelerator.wait_for_everyone()


class _Follow(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Tells the watcher of steps, and ends the training where that is asked."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self._is_first = True

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
        if state.global_step < state.max_steps and self.training.is_stopping():
            control.should_save = control.should_training_stop = True

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
