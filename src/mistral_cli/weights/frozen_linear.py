"""The frame of a linear layer whose quantized weights stay as they are. Knows no way to quantize and no model."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping


class FrozenLinear(nn.Module):
    """Stands where an ``nn.Linear`` without bias stood; a gradient passes through it to what comes before.

    Args:
        shape: (outputs, inputs) of the weight.
        parts: its buffers: what the weight consists of.
    """

    def __init__(self, shape: tuple[int, int], parts: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.out_features, self.in_features = shape
        for name, part in parts.items():
            self.register_buffer(name, part)

    @abstractmethod
    def multiply(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs), in the dtype of ``x``; no gradient is asked of it."""

    @abstractmethod
    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the weights as numbers, (outputs, inputs)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs), in the dtype of ``x``."""
        if x.shape[-1] != self.in_features:
            raise ValueError(f"{x.shape[-1]} inputs where the layer has {self.in_features}")
        if x.requires_grad and torch.is_grad_enabled():
            result: Tensor = _Product.apply(x, self)  # type: ignore[no-untyped-call]
            return result
        return self.multiply(x)

    def extra_repr(self) -> str:
        """Return what ``print`` shows between the brackets."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


class _Product(torch.autograd.Function):
    """The product of a layer; its gradient is that of the dequantized weight, made again when it is needed."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, layer: FrozenLinear) -> Tensor:
        ctx.layer = layer  # type: ignore[attr-defined]
        return layer.multiply(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0]
        return gradient @ ctx.layer.dequantize(gradient.dtype), None  # type: ignore[attr-defined]


def parts(layer: nn.Module) -> dict[str, Tensor]:
    """Return the buffers of a layer: what its weight consists of."""
    return dict(layer.named_buffers(recurse=False))
