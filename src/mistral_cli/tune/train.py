"""Samples and a recipe become an adapter. Reads no data file, prints nothing: who watches is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.tune.events import Job, Outcome, Watcher


def train(job: Job, watcher: Watcher, stopping: Callable[[], bool]) -> Outcome:
    """Train the adapter of ``job`` and write it into its folder.

    Args:
        job: what is trained on what.
        watcher: told of each step, evaluation and checkpoint.
        stopping: asked after each step; True saves a checkpoint and ends.

    Raises:
        UsageError: a package that is not installed; a recipe that this model cannot follow.
        CheckpointError: a base that is damaged, or a checkpoint that belongs to another training.
        OutOfMemoryError: the memory ran out.
        MistralError: a loss or a gradient that is not finite, a gradient that is missing, a full disk. Nothing that was
            saved is touched; the message names the last checkpoint.
    """
    raise NotImplementedError
