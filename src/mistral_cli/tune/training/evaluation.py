"""The samples kept apart, asked: the mean loss over what they would learn. Changes nothing in the model, not its form.

bitsandbytes packs a 4-bit layer for good where it is asked without gradients in evaluation mode, and then lets no
gradient through. So its layers stay in training mode, in which they compute the same; all others, dropout first, leave.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch

from mistral_cli.tune.events import Evaluation
from mistral_cli.tune.training.collate import collate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mistral_cli.tune.samples import Sample


def evaluate(
    model: Any,
    rows: Sequence[Sequence[Sample]],
    *,
    batch: int,
    step: int,
    asking: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Return the loss of ``model`` on the samples of ``rows``, so many rows at once.

    Every process of several asks all of them: sharded weights want all processes in each pass. ``asking`` is called
    before each pass, with the rows that were asked; what it raises ends it.
    """
    total, tokens = 0.0, 0
    with asked(model), torch.no_grad():
        for first in range(0, len(rows), batch):
            asking(first)
            inputs = {name: tensor.to(model.device) for name, tensor in collate(rows[first : first + batch]).items()}
            count = int((inputs["shift_labels"] >= 0).sum())
            del inputs["tokens"]
            total += float(model(**inputs, num_items_in_batch=1).loss)  # divided by 1: the sum
            tokens += count
    return Evaluation(step=step, loss=total / tokens, tokens=tokens)


@contextlib.contextmanager
def asked(model: Any) -> Iterator[None]:
    """Hold a model in evaluation mode in this block, but for 4-bit layers; afterwards all modes are as they were."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    for module in modes:
        if hasattr(getattr(module, "weight", None), "quant_state"):
            module.training = True
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
