"""Linear layers become quantized ones. Knows which may and what they take; computes nothing and opens no file."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from mistral_cli.errors import UsageError
from mistral_cli.kernels import library, packing
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.schemes import SCHEMES
from mistral_cli.model.moe import SparseMoe
from mistral_cli.weights.allocate import allocate

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from mistral_cli.kernels.schemes import Scheme
    from mistral_cli.model.args import ModelArgs

NONE = "none"
"""The name that asks for no quantization."""

_KEPT = ("embed_tokens.weight", "block_sparse_moe.gate.weight")
"""How the names of matrices end that are not quantized."""


def choose_scheme(asked: str, device: torch.device) -> Scheme | None:
    """Return the scheme of this name, None for ``none``.

    Raises:
        UsageError: no such scheme, or ``device`` has no kernels for it.
        KernelUnavailableError: the kernels' library was not built here.
    """
    if asked == NONE:
        return None
    if asked not in SCHEMES:
        raise UsageError(f"--quantize is {asked!a:.40}, but must be {', '.join((NONE, *SCHEMES))}.")
    if device.type != "cpu":
        message = f"--quantize {asked} cannot be used on {device}: only the CPU has kernels for it so far."
        raise UsageError(message, "Add --device cpu, or leave --quantize out.")
    library.load()
    return SCHEMES[asked]


def quantizable(args: ModelArgs) -> dict[str, tuple[int, int]]:
    """Return the layers that are quantized, by name, and their (outputs, inputs).

    Those are all linear layers whose shape fits, the head among them, but the routers of experts: they are tiny, and a
    wrong choice costs more than a wrong digit.
    """
    return {
        name.removesuffix(".weight"): (shape[0], shape[1])
        for name, shape in args.tensor_shapes().items()
        if len(shape) == 2 and not name.endswith(_KEPT) and packing.supported(shape[0], shape[1]) is None
    }


def quantized_bytes(args: ModelArgs, dtype: torch.dtype) -> int:
    """Return the bytes of all weights where those that can be are quantized, and the others in ``dtype``."""
    packed = quantizable(args)
    rest = args.parameters - sum(map(math.prod, packed.values()))
    return rest * dtype.itemsize + sum(packing.packed_bytes(*shape) for shape in packed.values())


def quantize(model: nn.Module, scheme: str = "nf4", *, keep: Collection[str] = ()) -> tuple[str, ...]:
    """Put a quantized layer in the place of each linear layer that can be one; the names in the tree stay.

    Layers go one at a time, and each one's old weight is let go before the next, so that memory never holds the model
    twice. Routers of experts stay as they are.

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
    return quantized_layer(linear.weight.detach(), scheme).train(linear.training)


def quantized_layer(weight: Tensor, scheme: Scheme) -> PackedLinear:
    """Return a layer of this weight (outputs, inputs), quantized.

    Raises:
        OutOfMemoryError: there is no room for it.
    """
    on_cpu = functools.partial(allocate, device=torch.device("cpu"))
    return PackedLinear.from_packed(packing.quantize(weight, scheme, allocate=on_cpu))
