"""How many answers may be made side by side: their caches must fit beside the model. Opens no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.engine.plan import LEAST_CONTEXT, free_memory, kv_bytes, rounded
from mistral_cli.errors import OutOfMemoryError

if TYPE_CHECKING:
    from mistral_cli.engine.plan import Plan

ROWS = 8
"""Answers side by side unless asked otherwise: on a CPU, more are hardly faster together."""


def context_of_rows(plan: Plan, context: int, rows: int) -> int:
    """Return up to ``context`` tokens for each of so many answers, fewer where the memory is too small.

    Where not even a small context fits for each, it is ``context`` itself, which ``plan_rows`` then refuses.
    """
    room, low, high = free_memory(plan.device), 0, context
    while low < high:
        middle = (low + high + 1) // 2
        needed = plan.needed(middle) + (rows - 1) * _row_bytes(plan, middle)
        low, high = (middle, high) if needed <= room else (low, middle - 1)
    return rounded(low) if min(context, LEAST_CONTEXT) <= low < context else context


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
    each = _row_bytes(plan, context)
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


def _row_bytes(plan: Plan, context: int) -> int:
    return kv_bytes(plan.args, context, plan.dtype, plan.kv) + plan.args.vocab_size * 4  # a row of logits
