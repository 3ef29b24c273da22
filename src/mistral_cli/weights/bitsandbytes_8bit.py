"""8-bit layers that bitsandbytes computes: LLM.int8. Knows one layer at a time; no model and no file.

Dettmers et al., "LLM.int8()" (arXiv:2208.07339), section 3: rows are quantized too, but for the columns in which one
of them holds a number of 6 or more; those are multiplied in 16 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mistral_cli.weights import bitsandbytes_library
from mistral_cli.weights.bitsandbytes_library import functional
from mistral_cli.weights.frozen_linear import FrozenLinear

if TYPE_CHECKING:
    from collections.abc import Mapping

THRESHOLD = 6.0
"""From this magnitude on a column of the rows is multiplied in 16 bits."""


class Linear8bit(FrozenLinear):
    """Weights in the form of bitsandbytes' files.

    Buffers: ``codes`` (outputs, inputs) int8; ``absmax`` (outputs,) float32, the greatest magnitude of a row, which is
    127 in the codes.
    """

    codes: Tensor
    absmax: Tensor

    def __init__(self, shape: tuple[int, int], parts: Mapping[str, Tensor], *, threshold: float = THRESHOLD) -> None:
        functional()
        super().__init__(shape, parts)
        self.threshold = threshold

    def multiply(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs), in the dtype of ``x``."""
        rows = x.reshape(-1, self.in_features)
        quantized, absmax, outliers = torch.ops.bitsandbytes.int8_vectorwise_quant.default(
            rows.to(torch.float16, copy=True), self.threshold
        )
        result, _ = torch.ops.bitsandbytes.int8_mixed_scaled_mm.default(
            rows, quantized, self.codes, absmax, self.absmax, outliers
        )
        return result.view(*x.shape[:-1], self.out_features)  # type: ignore[no-any-return]

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the weights as numbers, (outputs, inputs)."""
        return (self.codes * (self.absmax / 127).unsqueeze(1)).to(dtype)


unavailable = bitsandbytes_library.unavailable
"""Says why this cannot be computed; None where it can."""


def supports(outputs: int, inputs: int) -> bool:
    """Tell whether a weight of this shape can be held: cuBLAS wants int8 matrices in fours."""
    return outputs > 0 and inputs > 0 and outputs % 4 == 0 and inputs % 4 == 0


def nbytes(outputs: int, inputs: int) -> int:
    """Return the bytes of a weight of this shape."""
    return outputs * inputs + 4 * outputs


def quantize(weight: Tensor, device: torch.device, dtype: torch.dtype) -> Linear8bit:  # noqa: ARG001
    """Return a layer of ``weight`` (outputs, inputs), on ``device``."""
    codes, absmax, _ = functional().int8_vectorwise_quant(weight.to(device, torch.float16))
    return Linear8bit((weight.shape[0], weight.shape[1]), {"codes": codes, "absmax": absmax})


def restore(parts: Mapping[str, Tensor], shape: tuple[int, int], dtype: torch.dtype) -> Linear8bit:  # noqa: ARG001
    """Return the layer of these buffers; nothing is copied."""
    return Linear8bit(shape, parts)
