"""Samples and a recipe become an adapter. Reads no data file, prints nothing: who watches is told.

With several processes (``accelerate launch``) all train and one writes and tells.
"""

from __future__ import annotations

import contextlib
import gc
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mistral_cli.errors import UsageError
from mistral_cli.tune.events import Outcome
from mistral_cli.tune.steps import make_sequences
from mistral_cli.tune.training import checkpoints
from mistral_cli.tune.training.no_memory import told_of_no_memory
from mistral_cli.weights.adapters.lora_config import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.tune.events import Evaluation, Job, Watcher
    from mistral_cli.tune.training.checkpoints import Checkpoint
    from mistral_cli.tune.training.loop import Training

_NEEDED = ("peft", "transformers", "accelerate")


def train(job: Job, watcher: Watcher, stopping: Callable[[], bool]) -> Outcome:
    """Train the adapter of ``job`` and write it into its folder.

    Args:
        job: what is trained on what.
        watcher: told of each step, evaluation and checkpoint, by the main process alone.
        stopping: asked after each batch; True saves a checkpoint of the last whole step and ends.

    Raises:
        UsageError: a package that is not installed; a recipe that this model cannot follow; a folder that holds an
            adapter, or checkpoints that are not to be gone on from.
        ModelNotFoundError, CheckpointError: a base that is not there or damaged, or a checkpoint of another training.
        OutOfMemoryError: the memory ran out.
        MistralError: a loss or a gradient that is not finite, a gradient that is missing, a full disk. Nothing that was
            saved is touched; the message names the last checkpoint.
    """
    from mistral_cli.backends.hf_quiet import quiet  # noqa: PLC0415 (imports transformers, which may be absent)
    from mistral_cli.tune.training.memory import watched_memory  # noqa: PLC0415 (imports torch)

    _require(job.recipe.quantize)
    found = _going_on_from(job)
    begun = time.perf_counter()
    with quiet(), told_of_no_memory(job), watched_memory() as memory:
        training = _prepared(job, watcher, stopping, found)
        after = _run(training, found)
        before, between = training.before, training.between
        steps, interrupted = training.state.global_step, training.interrupted
        peak = memory.peak()
        del training
        gc.collect()
    return Outcome(
        steps=steps,
        before=before,
        after=after,
        between=between,
        folder=checkpoints.place_of(job.folder, steps) if interrupted else job.folder,
        interrupted=interrupted,
        seconds=time.perf_counter() - begun,
        peak_bytes=peak,
    )


def _require(quantize: str) -> None:
    for name in (*_NEEDED, *(("bitsandbytes",) if quantize != "none" else ())):
        if find_spec(name) is None:
            raise UsageError(f"Training needs {name}, which is not installed.", "pip install 'mistral-cli[tune]'")


def _going_on_from(job: Job) -> Checkpoint | None:
    """Return the checkpoint to go on from; refuse to write over what is there."""
    if (job.folder / CONFIG).exists():
        raise UsageError(f"{job.folder} holds an adapter already.", "Name a new folder.")
    found = next(iter(checkpoints.find_checkpoints(job.folder)), None)
    if found is not None and not job.resume:
        message = f"{job.folder} holds a training that was interrupted after step {found.step:,}."
        raise UsageError(message, "Go on with --resume, or name a new folder.")
    return found


def _prepared(job: Job, watcher: Watcher, stopping: Callable[[], bool], found: Checkpoint | None) -> Training:
    """Return the training, ready to run."""
    import torch  # noqa: PLC0415 (see above)
    from transformers import set_seed  # noqa: PLC0415

    from mistral_cli.tune.training.base import (  # noqa: PLC0415
        check_base,
        check_begun,
        go_on_with,
        load_base,
        put_adapter,
        save_memory,
    )
    from mistral_cli.tune.training.loop import Training, make_arguments  # noqa: PLC0415

    check_base(job.model_folder)
    if job.adapter:
        check_begun(job.adapter)
    rows = make_sequences(job.train, job.recipe)
    arguments = make_arguments(job.recipe, job.folder / checkpoints.FOLDER, len(rows))
    identity = checkpoints.identify(job, rows, arguments.world_size)
    if found is not None:
        checkpoints.check_same(found, identity)
    model: Any = load_base(job.model_folder, job.recipe, torch.device(arguments.device))
    set_seed(job.recipe.seed)
    name = str(job.model_folder)
    model = go_on_with(model, job.adapter, job.recipe, name) if job.adapter else put_adapter(model, job.recipe, name)
    if job.recipe.checkpointing:
        save_memory(model)
    checkpoints.sweep(job.folder)
    training = Training(job, model, rows, arguments, watcher, stopping)
    training.identity, training.apart = identity, make_sequences(job.apart, job.recipe)
    if found is not None:
        training.last, training.before, training.between = found.folder, found.before, found.between
    return training


def _run(training: Training, found: Checkpoint | None) -> Evaluation | None:
    """Ask, train, ask again, write; return what came of it, None of what was interrupted."""
    from mistral_cli.tune.training.base import fill_adapter  # noqa: PLC0415 (imports torch)
    from mistral_cli.tune.training.loop import StoppedError  # noqa: PLC0415

    if training.apart and found is None:
        # a new adapter does nothing yet, and one that is gone on from is asked as it was left
        with contextlib.nullcontext() if training.job.adapter else training.model.disable_adapter():
            training.before = training.ask()
    steps = training.args.max_steps
    if found is not None and found.step == steps:  # all that is missing is the adapter
        fill_adapter(training.model, found.folder)
        training.state.global_step = steps
    else:
        training.train(resume_from_checkpoint=str(found.folder) if found else None)
    if training.interrupted:
        return None
    try:
        after = training.ask(may_stop=True) if training.apart else None
    except StoppedError:
        return None  # all steps are saved: who goes on asks again, and has the adapter
    if training.is_world_process_zero():
        _write(training)
    training.accelerator.wait_for_everyone()
    return after


def _write(training: Training) -> None:
    """Write the adapter, whole; then its checkpoints are of no more use."""
    from safetensors import SafetensorError  # noqa: PLC0415 (imports torch)

    from mistral_cli.tune.training.adapter_files import write_adapter  # noqa: PLC0415
    from mistral_cli.tune.training.guard import stopped  # noqa: PLC0415

    job = training.job
    try:
        write_adapter(job.folder, training.model, base=job.base or str(job.model_folder))
    except (OSError, SafetensorError) as error:
        message = f"The adapter cannot be written ({getattr(error, 'strerror', None) or error})"
        raise stopped(message, "Free some space, then go on with --resume", training.last) from error
    checkpoints.remove_all(job.folder)
