"""4-bit layers that our own kernels compute on a CPU. Knows one layer at a time; no model and no file."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

import torch

from mistral_cli.kernels import library, packing
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.schemes import SCHEMES
from mistral_cli.weights.allocate import allocate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

LAYOUTS = {"nf4": "nf4-kernel-2", "int4": "int4-kernel-1"}
"""Names of the bytes that ``tensors`` gives; another number where ``csrc/products.h`` draws them otherwise."""

_PARTS = ("nibbles", "scales", "nested")
"""What ``Packed.tensors`` are called; the last is not always there."""


def unavailable(device: torch.device) -> str | None:  # noqa: ARG001 (every CPU is as good)
    """Return why our kernels are not to be used; None where they are."""
    reason = library.reason_against()
    return reason and f"our CPU kernel is not used: {reason}"


def supports(outputs: int, inputs: int) -> bool:
    """Tell whether a weight of this shape can be packed."""
    return packing.supported(outputs, inputs) is None


def quantize(scheme: str, weight: Tensor, device: torch.device, dtype: torch.dtype) -> PackedLinear:  # noqa: ARG001
    """Return a layer of this weight (outputs, inputs), quantized.

    Raises:
        OutOfMemoryError: there is no room for it.
    """
    on_cpu = functools.partial(allocate, device=torch.device("cpu"))
    return PackedLinear.from_packed(packing.quantize(weight, SCHEMES[scheme], allocate=on_cpu))


def tensors(layer: nn.Module) -> dict[str, Tensor]:
    """Return what a layer computes with."""
    return dict(zip(_PARTS, cast("PackedLinear", layer).packed.tensors, strict=False))


def restore(scheme: str, parts: Mapping[str, Tensor], shape: tuple[int, int], dtype: torch.dtype) -> PackedLinear:  # noqa: ARG001
    """Return the layer that ``tensors`` took apart; nothing is copied."""
    outputs, inputs = shape
    return PackedLinear.from_packed(
        packing.Packed(
            scheme=SCHEMES[scheme],
            outputs=outputs,
            inputs=inputs,
            nibbles=parts["nibbles"],
            scales=parts["scales"],
            nested=parts.get("nested"),
        )
    )
