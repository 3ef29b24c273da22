"""Linear layers become quantized ones. Knows which may and what they take; computes nothing and opens no file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

from mistral_cli.model.moe import SparseMoe
from mistral_cli.weights.methods import Method, choose_method
from mistral_cli.weights.quantized_sizes import is_matrix_to_quantize

if TYPE_CHECKING:
    from collections.abc import Collection

    import torch

    from mistral_cli.model.args import ModelArgs


def quantizable(args: ModelArgs, method: Method) -> dict[str, tuple[int, int]]:
    """Return the layers that are quantized, by name, and their (outputs, inputs).

    Those are all linear layers whose shape fits, the head among them, but the routers of experts.
    """
    return {
        name.removesuffix(".weight"): (shape[0], shape[1])
        for name, shape in args.tensor_shapes().items()
        if is_matrix_to_quantize(name, shape) and method.supports(shape[0], shape[1])
    }


def quantized_bytes(args: ModelArgs, dtype: torch.dtype, method: Method) -> int:
    """Return the bytes of all weights where those that can be are quantized, and the others in ``dtype``."""
    packed = quantizable(args, method)
    rest = args.parameters - sum(map(math.prod, packed.values()))
    return rest * dtype.itemsize + sum(method.nbytes(*shape) for shape in packed.values())


def quantize(model: nn.Module, method: Method | str = "nf4", *, keep: Collection[str] = ()) -> tuple[str, ...]:
    """Put a quantized layer in the place of each linear layer that can be one; the names in the tree stay.

    Layers go one at a time, and each one's old weight is let go before the next, so that memory never holds the model
    twice. Routers of experts stay as they are.

    Args:
        model: on one device.
        method: how; of a scheme's name, the one that is taken on that device.
        keep: names of layers that stay as they are, as ``lm_head``.

    Returns:
        The names of the layers that were replaced.

    Raises:
        UsageError: nothing computes this scheme on the model's device.
    """
    weight = next(model.parameters())
    row = choose_method(method, weight.device) if isinstance(method, str) else method
    if row is None:
        return ()
    routers = {id(module.gate) for module in model.modules() if isinstance(module, SparseMoe)}
    linears = {
        name: module
        for name, module in model.named_modules()
        if type(module) is nn.Linear and name not in keep and id(module) not in routers and _fits(module, row)
    }
    names = tuple(linears)
    for name in names:
        linear = linears.pop(name)
        layer = row.quantize(linear.weight.detach(), weight.device, weight.dtype)
        model.set_submodule(name, layer.train(linear.training))
    return names


def _fits(linear: nn.Linear, method: Method) -> bool:
    return linear.bias is None and method.supports(linear.out_features, linear.in_features)
