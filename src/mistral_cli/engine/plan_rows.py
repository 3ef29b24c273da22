"""How many answers may be made side by side: their caches must fit beside the model. Opens no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.engine.plan import free_memory, kv_bytes
from mistral_cli.errors import OutOfMemoryError

if TYPE_CHECKING:
    from mistral_cli.engine.plan import Plan

ROWS = 8
"""Answers side by side unless asked otherwise: on a CPU, more are hardly faster together."""


def plan_rows(plan: Plan, context: int, asked: int | None = None) -> int:
    """Return how many answers of ``context`` tokens each may be made side by side.

    Args:
        plan: the model, whose weights and first cache are known to fit.
        context: tokens of each, prompt and answer together.
        asked: exactly so many; None: ``ROWS``, or fewer where no more fit.

    Raises:
        OutOfMemoryError: so many were asked for as do not fit; the message holds both numbers, the hint what would.
    """
    free, needed = free_memory(plan.device), plan.needed(context)
    each = kv_bytes(plan.args, context, plan.dtype, plan.kv) + plan.args.vocab_size * 4  # a row of logits
    fits = 1 + max(0, free - needed) // each
    if asked is None:
        return min(ROWS, fits)
    if asked > fits:
        raise OutOfMemoryError(
            f"{asked:,} answers side by side need {needed + (asked - 1) * each:,} bytes ({each:,} for each cache of "
            f"{context:,} tokens), but {free:,} are free.",
            f"It fits with --batch {fits}, or with a lower --context.",
        )
    return asked
