"""A linear layer of packed 4-bit weights, with the interface of ``nn.Linear``. Knows no model and no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn

from mistral_cli.kernels import packing
from mistral_cli.kernels.packing import Packed
from mistral_cli.kernels.products import multiply, packed_linear
from mistral_cli.kernels.schemes import NF4, Scheme

if TYPE_CHECKING:
    from collections.abc import Callable


class PackedLinear(nn.Module):
    """Stands where an ``nn.Linear`` without bias stood; the buffers are the weights, as ``Packed`` has them.

    ``fine``, False at first, is the precision that it computes with (see ``products``); no part of its state.

    Args:
        inputs: as ``nn.Linear``; a multiple of 64.
        outputs: as ``nn.Linear``.
        scheme: what the codes stand for.

    Raises:
        CheckpointError: the shape cannot be packed.
    """

    nibbles: Tensor
    scales: Tensor
    nested: Tensor | None

    def __init__(self, inputs: int, outputs: int, scheme: Scheme = NF4) -> None:
        super().__init__()
        self.in_features, self.out_features, self.scheme = inputs, outputs, scheme
        self.fine = False
        packed = packing.empty(scheme, outputs, inputs)
        self.register_buffer("nibbles", packed.nibbles)
        self.register_buffer("scales", packed.scales)
        self.register_buffer("nested", packed.nested)

    @classmethod
    def from_packed(cls, packed: Packed) -> PackedLinear:
        """Return a layer of these weights; nothing is copied."""
        with torch.device("meta"):
            layer = cls(packed.inputs, packed.outputs, packed.scheme)
        layer.nibbles, layer.scales, layer.nested = packed.nibbles, packed.scales, packed.nested
        return layer

    @property
    def packed(self) -> Packed:
        """Return the weights."""
        return Packed(
            scheme=self.scheme,
            outputs=self.out_features,
            inputs=self.in_features,
            nibbles=self.nibbles,
            scales=self.scales,
            nested=self.nested,
        )

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the weights as numbers, (outputs, inputs)."""
        return packing.dequantize(self.packed, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs), in the dtype of ``x``."""
        if x.shape[-1] != self.in_features:
            raise ValueError(f"{x.shape[-1]} inputs where the layer has {self.in_features}")
        if torch.compiler.is_compiling() or (x.requires_grad and torch.is_grad_enabled()):
            result: Tensor = packed_linear(x, self.packed.tensors, self.out_features, self.scheme.name, self.fine)
            return result
        return multiply(x, self.packed, fine=self.fine)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Do what ``to``, ``float`` or ``half`` ask for, but keep the scales' dtypes: the products read their bits."""
        kept = {name: part for name, part in self._buffers.items() if part is not None}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, part in kept.items():
            moved = self._buffers[name]
            if moved is not None and moved.dtype != part.dtype:
                self._buffers[name] = part.to(moved.device)
        return self

    def extra_repr(self) -> str:
        """Return what ``print`` shows between the brackets."""
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, scheme={self.scheme.name}, fine={self.fine}"
