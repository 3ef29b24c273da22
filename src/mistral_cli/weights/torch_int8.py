"""8-bit layers that torch computes on a CPU: a scale an output, the rows as they are. Knows one layer at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from mistral_cli.weights.frozen_linear import FrozenLinear

if TYPE_CHECKING:
    from collections.abc import Mapping

_FEW = 4
"""Rows up to which torch's own product of 8-bit weights is the faster way (one 14336 × 4096: 8 ms for 1, 16 for 8)."""
_PIECE = 1024
"""Outputs that become numbers at once for more rows: few enough to stay in the processor's cache."""
DTYPES = (torch.bfloat16, torch.float16, torch.float32)
"""What torch's product computes in."""


class Int8Linear(FrozenLinear):
    """Buffers: ``codes`` (outputs, inputs) int8, ``scales`` (outputs,) in the dtype that is computed in."""

    codes: Tensor
    scales: Tensor

    def multiply(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs), in the dtype of ``x``."""
        rows = x.reshape(-1, self.in_features).to(self.scales.dtype)
        if len(rows) <= _FEW:
            result = torch._weight_int8pack_mm(rows.contiguous(), self.codes, self.scales)
        else:
            pieces = [functional.linear(rows, piece.to(rows.dtype)) for piece in torch.split(self.codes, _PIECE)]
            result = torch.cat(pieces, 1).mul_(self.scales)
        return result.view(*x.shape[:-1], self.out_features).to(x.dtype)

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the weights as numbers, (outputs, inputs)."""
        return (self.codes * self.scales.float().unsqueeze(1)).to(dtype)


def unavailable(device: torch.device) -> str | None:  # noqa: ARG001 (every CPU is as good)
    """Return why this torch cannot; None where it can."""
    return None if hasattr(torch, "_weight_int8pack_mm") else f"torch {torch.__version__} has no 8-bit product"


def supports(outputs: int, inputs: int) -> bool:
    """Tell whether a weight of this shape can be held; of others the product reads beyond the end."""
    return outputs > 0 and inputs > 0 and outputs % 16 == 0 and inputs % 32 == 0


def nbytes(outputs: int, inputs: int) -> int:
    """Return the bytes of a weight of this shape, with scales in 16 bits."""
    return outputs * inputs + 2 * outputs


def quantize(weight: Tensor, device: torch.device, dtype: torch.dtype) -> Int8Linear:
    """Return a layer of ``weight`` (outputs, inputs), on ``device``, that computes in ``dtype``."""
    weight = weight.to(device, torch.float32)
    # rounded to what they are kept in before anything is divided by them
    scales = (weight.abs().amax(1) / 127).clamp(min=1e-30).to(dtype if dtype in DTYPES else torch.float32)
    codes = torch.cat(
        [
            (piece / scale.float().unsqueeze(1)).round_().clamp_(-127, 127).to(torch.int8)
            for piece, scale in zip(torch.split(weight, _PIECE), torch.split(scales, _PIECE), strict=True)
        ]
    )
    return Int8Linear((weight.shape[0], weight.shape[1]), {"codes": codes, "scales": scales})


def restore(parts: Mapping[str, Tensor], shape: tuple[int, int], dtype: torch.dtype) -> Int8Linear:  # noqa: ARG001
    """Return the layer of these buffers; nothing is copied."""
    return Int8Linear(shape, parts)
