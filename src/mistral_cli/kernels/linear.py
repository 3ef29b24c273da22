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
    from collections.abc import Callable, Sequence


class PackedLinear(nn.Module):
    """Stands where an ``nn.Linear`` without bias stood; its buffers ``nibbles`` and ``scales`` are the weights.

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

    def __init__(self, inputs: int, outputs: int, scheme: Scheme = NF4) -> None:
        super().__init__()
        self.in_features, self.out_features, self.scheme = inputs, outputs, scheme
        self.fine = False
        packed = packing.empty(scheme, outputs, inputs)
        self.register_buffer("nibbles", packed.nibbles)
        self.register_buffer("scales", packed.scales)

    @classmethod
    def from_packed(cls, packed: Packed) -> PackedLinear:
        """Return a layer of these weights; nothing is copied."""
        with torch.device("meta"):
            layer = cls(packed.inputs, packed.outputs, packed.scheme)
        layer.nibbles, layer.scales = packed.nibbles, packed.scales
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
        )

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the weights as numbers, (outputs, inputs)."""
        return packing.dequantize(self.packed, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs), in the dtype of ``x``."""
        if x.shape[-1] != self.in_features:
            raise ValueError(f"{x.shape[-1]} inputs where the layer has {self.in_features}")
        if torch.compiler.is_compiling() or (x.requires_grad and torch.is_grad_enabled()):
            result: Tensor = packed_linear(x, self.nibbles, self.scales, self.out_features, self.scheme.name, self.fine)
            return result
        return multiply(x, self.packed, fine=self.fine)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Do what ``to``, ``float`` or ``half`` ask for, but keep the scales' dtype: the products read their bits."""
        scales = self.scales
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.scales.dtype != scales.dtype:
            self.scales = scales.to(self.scales.device)
        return self

    def extra_repr(self) -> str:
        """Return what ``print`` shows between the brackets."""
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, scheme={self.scheme.name}, fine={self.fine}"


def join(layers: Sequence[PackedLinear]) -> PackedLinear:
    """Return one layer whose outputs are those of ``layers`` one after the other, computed in one go.

    The weights move into one buffer, and ``layers`` keep working as views of it: no memory is doubled, and each can be
    called, adapted or replaced by its own name.

    Raises:
        ValueError: they differ in inputs or scheme, or one before the last has outputs that are no multiple of 16.
    """
    first = layers[0]
    if any(layer.in_features != first.in_features or layer.scheme != first.scheme for layer in layers):
        raise ValueError("only layers of one scheme that read the same inputs can be joined")
    if any(layer.out_features % 16 for layer in layers[:-1]):
        raise ValueError("layers can be joined only where their outputs are multiples of 16")
    blocks = [layer.nibbles.shape[0] for layer in layers]
    packed = Packed(
        scheme=first.scheme,
        outputs=sum(layer.out_features for layer in layers),
        inputs=first.in_features,
        nibbles=torch.cat([layer.nibbles for layer in layers]),
        scales=torch.cat([layer.scales for layer in layers]),
    )
    parts = zip(torch.split(packed.nibbles, blocks), torch.split(packed.scales, blocks), strict=True)
    for layer, (nibbles, scales) in zip(layers, parts, strict=True):
        layer.nibbles, layer.scales = nibbles, scales
    return PackedLinear.from_packed(packed)
