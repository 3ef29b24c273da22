"""Memory that runs out in the middle of a training: what is left of it, what takes less; the batch is let go."""

from __future__ import annotations

import contextlib
import re
import traceback
from typing import TYPE_CHECKING

from mistral_cli.errors import OutOfMemoryError
from mistral_cli.tune.recipe import MOST_AT_ONCE
from mistral_cli.tune.training import checkpoints
from mistral_cli.weights.allocate import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mistral_cli.tune.events import Job
    from mistral_cli.tune.recipe import Recipe

_ASKED = re.compile(r"allocate ([\d.]+ ?\w+)", re.IGNORECASE)
"""What was asked for in vain, in torch's words: ``tried to allocate 4096 bytes``, ``Tried to allocate 2.00 GiB``."""


@contextlib.contextmanager
def told_of_no_memory(job: Job) -> Iterator[None]:
    """Turn the end of the memory in this block into one line of ours.

    Raises:
        OutOfMemoryError: the message names the last checkpoint, the hint the flags with which less is taken.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold the batch: without it there is room for words
        asked = _ASKED.search(str(error))
        what = f"no room for {_size(asked[1])} more" if asked else "no more can be had"
        raise _end(job, what) from error


def _size(asked: str) -> str:
    count, _, unit = asked.partition(" ")
    return f"{int(count):,} {unit}" if count.isdigit() else asked


def _end(job: Job, what: str) -> OutOfMemoryError:
    """Return the end: only what changes no number may be another where it goes on."""
    last = next(iter(checkpoints.find_checkpoints(job.folder)), None)
    same, other = _smaller(job.recipe)
    anew = " or ".join(other)
    if last is None:
        return OutOfMemoryError(f"The memory ran out while training: {what}.", f"Take {' '.join(same) or anew}.")
    message = f"The memory ran out while training: {what}; the last checkpoint is {last.folder}."
    again = f"Go on with --resume {' '.join(same)}".rstrip() + ("" if same else " when more is free")
    return OutOfMemoryError(message, f"{again}, or begin anew with {anew}.")


def _smaller(recipe: Recipe) -> tuple[list[str], list[str]]:
    """Return the flags that take less and change no number, and those that make another training."""
    same = [] if recipe.checkpointing else ["--checkpointing"]
    if recipe.batch > 1 and recipe.batch * recipe.accumulate <= MOST_AT_ONCE:
        same.append(f"--batch 1 --accumulate {recipe.batch * recipe.accumulate}")
    other = [f"--length {recipe.length // 2}", *(["--quantize nf4"] if recipe.quantize == "none" else [])]
    return same, other
