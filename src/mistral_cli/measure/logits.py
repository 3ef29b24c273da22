"""The logits of a sequence, chunk by chunk, so that those of a long text never lie in memory at once. Knows no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mistral_cli.engine.faults import memory_errors
from mistral_cli.engine.plan import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from mistral_cli.model.transformer import Mistral


def logits_from(model: Mistral, ids: Sequence[int], first: int = 0, *, chunk: int = CHUNK) -> Iterator[Tensor]:
    """Yield the logits (T, V) after each of ``ids`` from number ``first`` on, in float32 and in order.

    Computed as an answer's prompt is: in chunks, through a cache of the kind that the model makes.

    Raises:
        OutOfMemoryError: there is no room for them.
    """
    cache = model.new_cache(capacity=len(ids))
    for start in range(0, len(ids), chunk):
        tokens = torch.tensor([ids[start : start + chunk]], device=model.device)  # (1, T)
        end = start + tokens.shape[1]
        with memory_errors(), torch.inference_mode():
            logits, cache = model(tokens, cache, last_only=end <= first)
        if end > first:
            yield logits[0, max(0, first - start) :]
