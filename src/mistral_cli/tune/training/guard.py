"""What must never be trained on: a loss or a gradient that is no number, one that is missing, all that are zero.

Each of these goes unnoticed otherwise: the optimizer steps, a loss is shown, and the adapter learns nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mistral_cli.errors import MistralError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor, nn

_LOWER = "Lower --lr, or lengthen --warmup"
_CUT = "Train with --quantize none, or with another version of bitsandbytes"


def check_loss(loss: Tensor, step: int, last: Path | None) -> None:
    """Refuse a loss that is NaN or infinite.

    Raises:
        MistralError: naming the step, and ``last``, the last checkpoint.
    """
    if not torch.isfinite(loss):
        raise stopped(f"The loss of step {step:,} is {loss.item()}, no number to learn from", _LOWER, last)


def check_gradients(model: nn.Module, step: int, last: Path | None) -> None:
    """Refuse a step in which a gradient is missing, none says anything, or one is NaN or infinite.

    Raises:
        MistralError: naming the step and the first module.
    """
    is_any = False
    for name, weight in trained(model):
        if weight.grad is None:
            raise stopped(f"No gradient reaches {_module(name)} in step {step:,}", _CUT, last)
        largest = weight.grad.abs().max()
        if not torch.isfinite(largest):
            raise stopped(f"The gradient of {_module(name)} is {largest.item()} in step {step:,}", _LOWER, last)
        is_any = is_any or bool(largest > 0)
    if not is_any:
        raise stopped(f"All gradients are zero in step {step:,}: nothing would be learnt", _CUT, last)


def check_weights(model: nn.Module, step: int, last: Path | None) -> None:
    """Refuse adapters that hold NaN or infinity, before they are saved.

    Raises:
        MistralError: naming the step and the first module.
    """
    for name, weight in trained(model):
        if not torch.isfinite(weight).all():
            raise stopped(f"{_module(name)} holds no numbers any more after step {step:,}", _LOWER, last)


def check_unpacked(model: nn.Module, step: int, last: Path | None) -> None:
    """Refuse a base whose 4-bit layers were packed for answering: gradients end there, and no error is raised.

    bitsandbytes packs at the first pass without gradients in evaluation mode (``Linear4bit.forward``), on CPUs with
    AVX512-BF16. Adapters below still get a gradient past it, a wrong one, which ``check_gradients`` cannot tell.

    Raises:
        MistralError: naming the step and the first module.
    """
    for name, module in model.named_modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if getattr(state, "packing_format_for_cpu", False):
            raise stopped(
                f"{_module(name)} was packed for answering before step {step:,}: gradients end there", _CUT, last
            )


def trained(model: nn.Module) -> Iterable[tuple[str, Tensor]]:
    """Return what is trained, by name."""
    return ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)


def stopped(what: str, hint: str, last: Path | None) -> MistralError:
    """Return the end of a training: what happened, what is left of it, what to try."""
    left = f"the last checkpoint is {last}" if last else "no checkpoint was written yet"
    return MistralError(f"{what}; {left}.", f"{hint}.")


def _module(name: str) -> str:
    """Return a parameter's module as the model itself calls it."""
    return name.removeprefix("base_model.model.").partition(".lora_")[0]
