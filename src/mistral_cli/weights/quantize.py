"""Linear layers become quantized ones, in place. Knows which may; computes nothing and opens no file."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch
from torch import nn

from mistral_cli.kernels import packing
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.schemes import SCHEMES
from mistral_cli.model.moe import SparseMoe
from mistral_cli.weights.allocate import allocate

if TYPE_CHECKING:
    from collections.abc import Collection

    from mistral_cli.kernels.schemes import Scheme


def quantize(model: nn.Module, scheme: str = "nf4", *, keep: Collection[str] = ()) -> tuple[str, ...]:
    """Put a quantized layer in the place of each linear layer that can be one; the names in the tree stay.

    Layers go one at a time, and each one's old weight is let go before the next, so that memory never holds the model
    twice. Routers of experts stay as they are: they are tiny, and a wrong choice costs more than a wrong digit.

    Args:
        model: on the CPU.
        scheme: ``nf4`` or ``int4``.
        keep: names of layers that stay as they are, as ``lm_head``.

    Returns:
        The names of the layers that were replaced.

    Raises:
        KernelUnavailableError: the kernels' library was not built here.
    """
    routers = {id(module.gate) for module in model.modules() if isinstance(module, SparseMoe)}
    linears = {
        name: module
        for name, module in model.named_modules()
        if type(module) is nn.Linear and name not in keep and id(module) not in routers and _fits(module)
    }
    names = tuple(linears)
    for name in names:
        model.set_submodule(name, _quantized(linears.pop(name), SCHEMES[scheme]))
    return names


def _fits(linear: nn.Linear) -> bool:
    return linear.bias is None and packing.supported(linear.out_features, linear.in_features) is None


def _quantized(linear: nn.Linear, scheme: Scheme) -> PackedLinear:
    on_large_pages = functools.partial(allocate, device=torch.device("cpu"))
    packed = packing.quantize(linear.weight.detach(), scheme, allocate=on_large_pages)
    return PackedLinear.from_packed(packed).train(linear.training)
