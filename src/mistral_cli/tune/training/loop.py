"""transformers' Trainer, watched: it tells what it does, stops where nothing is learnt, and saves whole checkpoints.

What is overridden are the seams that transformers documents for it, and ``_save_checkpoint``, for which there is none.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers import Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from mistral_cli.tune.steps import count_steps, steps_of_epoch
from mistral_cli.tune.training import checkpoints, guard
from mistral_cli.tune.training.adapter_files import write_adapter
from mistral_cli.tune.training.checkpoints import Checkpoint
from mistral_cli.tune.training.collate import collate
from mistral_cli.tune.training.evaluation import evaluate
from mistral_cli.tune.training.follow import Follow
from mistral_cli.weights.allocate import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from mistral_cli.tune.events import Evaluation, Job, Watcher
    from mistral_cli.tune.recipe import Recipe
    from mistral_cli.tune.samples import Sample
    from mistral_cli.tune.training.follow import Random

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""A recipe's name of a schedule -> transformers'."""


def make_arguments(recipe: Recipe, folder: Path, sequences: int) -> TrainingArguments:
    """Return a recipe for so many rows in transformers' words, which find out where this runs and with what others.

    On a GPU the base computes in bfloat16 under autocast, and QLoRA's optimizer keeps its state where there is room
    (Dettmers et al., arXiv:2305.14314, section 3). On a CPU everything is computed in the type that it has.
    """
    cuda, apple = torch.cuda.is_available(), torch.backends.mps.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.accumulate,
        learning_rate=recipe.lr,
        lr_scheduler_type=_SCHEDULES[recipe.schedule],
        optim="paged_adamw_32bit" if cuda and recipe.quantize == "nf4" else "adamw_torch",
        weight_decay=0.0,
        max_grad_norm=1.0,
        use_cpu=not (cuda or apple),  # or several processes on CPUs would not find one another
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


class StoppedError(Exception):
    """An evaluation was given up, as the training is to end."""


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
            model=model, args=arguments, train_dataset=list(rows), data_collator=collate, callbacks=[Follow(self)]
        )
        self.remove_callback(PrinterCallback)
        self.job, self.watcher, self._stopping = job, watcher, stopping
        self.apart: Sequence[Sequence[Sample]] = ()
        """Rows that are never trained on, and asked."""
        of_epoch = steps_of_epoch(len(rows), job.recipe, processes=arguments.world_size)
        self._eval_every = job.recipe.eval_every or of_epoch
        self.identity: Mapping[str, object] = {}
        self.before: Evaluation | None = None
        self.between: tuple[Evaluation, ...] = ()
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

    def ask(self, *, may_stop: bool = False) -> Evaluation:
        """Return what the model makes of the rows kept apart, as it is now.

        Raises:
            StoppedError: the training is to end, and it ``may_stop`` in the middle.
        """

        def asking(asked: int) -> None:
            if may_stop and self.is_stopping():
                raise StoppedError
            if self.is_world_process_zero():
                self.watcher.asking(asked, len(self.apart))

        with self.accelerator.autocast():
            step, batch = self.state.global_step, self.job.recipe.batch
            evaluation = evaluate(self.model, self.apart, batch=batch, step=step, asking=asking)
        if self.is_world_process_zero():
            self.watcher.evaluated(evaluation)
        return evaluation

    def is_to_be_asked(self) -> bool:
        """Tell whether the rows kept apart are to be asked after this step, and were not; after the last they are."""
        step = self.state.global_step
        is_due = 0 < step < self.args.max_steps and step % self._eval_every == 0
        return is_due and bool(self.apart) and all(evaluation.step != step for evaluation in self.between)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Ask them in the middle of the training; where it is to end meanwhile it does, and that is made up for."""
        self.control.should_evaluate = False
        try:
            self.between += (self.ask(may_stop=True),)
        except StoppedError:
            self.control.should_save = self.last != checkpoints.place_of(self.job.folder, self.state.global_step)
            self.control.should_training_stop = True
        return {}

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
        checkpoint = Checkpoint(
            step=step, folder=place, identity=self.identity, before=self.before, between=self.between
        )
        try:
            self._write(checkpoint, model, trial)
        except (OSError, SafetensorError, RuntimeError) as error:
            checkpoints.sweep(self.job.folder)
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                raise
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
