"""4-bit layers that bitsandbytes computes: NF4 and FP4 in blocks. Knows one layer at a time; no model and no file.

Dettmers et al., "QLoRA" (arXiv:2305.14314), sections 2 and 3. This is the form of the files, which every device
computes; ``bitsandbytes_tiles`` has that for CPUs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mistral_cli.kernels import library, packing
from mistral_cli.kernels.schemes import NF4
from mistral_cli.weights import bitsandbytes_library
from mistral_cli.weights.bitsandbytes_library import functional
from mistral_cli.weights.frozen_linear import FrozenLinear

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK = 64
"""Weights that share a scale, unless a checkpoint has others."""
NESTED = 256
"""Scales that share a scale of their own, where they are quantized again."""

_PIECE = 2**22
"""Weights that are quantized at once on a CPU: what is needed meanwhile is sixteen times as many bytes."""


class Linear4bit(FrozenLinear):
    """Weights in the form of bitsandbytes' files, on any device.

    Buffers: ``codes`` (n / 2, 1) uint8, two of them a byte, the first in the high half; ``absmax``, a scale a block, in
    float32, or where they are quantized again (n / block,) uint8 beside ``nested_absmax``, ``nested_map`` (256,) and
    ``nested_offset`` (), all in float32.
    """

    codes: Tensor
    absmax: Tensor
    nested_absmax: Tensor
    nested_map: Tensor
    nested_offset: Tensor

    def __init__(
        self, shape: tuple[int, int], parts: Mapping[str, Tensor], *, kind: str = "nf4", block: int = BLOCK
    ) -> None:
        functional()
        super().__init__(shape, parts)
        self.kind, self.block, self.is_nested = kind, block, "nested_absmax" in parts

    @property
    def shape(self) -> list[int]:
        """Return (outputs, inputs)."""
        return [self.out_features, self.in_features]

    def multiply(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs), in the dtype of ``x``."""
        weight = (self.codes, self.shape)
        if not self.is_nested:
            result = torch.ops.bitsandbytes.gemm_4bit.default(x, *weight, self.absmax, self.block, self.kind)
        else:
            result = torch.ops.bitsandbytes.gemm_4bit.default(
                x,
                *weight,
                self.nested_absmax,
                self.block,
                self.kind,
                absmax_8bit=self.absmax,
                absmax_code=self.nested_map,
                absmax_offset=self.nested_offset,
            )
        return result  # type: ignore[no-any-return]

    def scales(self) -> Tensor:
        """Return a scale for each block, in float32."""
        if not self.is_nested:
            return self.absmax
        nested = (self.nested_absmax, self.nested_map, NESTED, torch.float32)
        restored: Tensor = torch.ops.bitsandbytes.dequantize_blockwise.default(self.absmax, *nested)
        return restored + self.nested_offset

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the weights as numbers, (outputs, inputs)."""
        weight: Tensor = torch.ops.bitsandbytes.dequantize_4bit.default(
            self.codes, self.scales(), self.block, self.kind, self.shape, dtype
        )
        return weight


unavailable = bitsandbytes_library.unavailable
"""Says why this cannot be computed; None where it can."""


def supports(outputs: int, inputs: int) -> bool:
    """Tell whether a weight of this shape can be held: blocks may not reach from one row into the next."""
    return outputs > 0 and inputs > 0 and inputs % BLOCK == 0


def nbytes(outputs: int, inputs: int) -> int:
    """Return the bytes of ``Linear4bit`` with its scales quantized again."""
    blocks = outputs * inputs // BLOCK
    return outputs * inputs // 2 + blocks + 4 * (-(-blocks // NESTED) + 256 + 1)


def quantize(weight: Tensor, device: torch.device, dtype: torch.dtype) -> Linear4bit:  # noqa: ARG001
    """Return a layer of ``weight`` (outputs, inputs) in NF4 with double quantization, on ``device``."""
    codes, absmax = to_blocks(weight, device)
    offset = absmax.mean()
    nested, state = functional().quantize_blockwise(absmax - offset, blocksize=NESTED)
    parts = {
        "codes": codes,
        "absmax": nested,
        "nested_absmax": state.absmax,
        "nested_map": state.code.clone(),
        "nested_offset": offset,
    }
    return Linear4bit((weight.shape[0], weight.shape[1]), parts)


def to_blocks(weight: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return bitsandbytes' NF4 codes (n / 2, 1) and scales (n / 64,) of a weight, on ``device``.

    On a CPU our kernel makes them, where it can: many times as fast.
    """
    if device.type == "cpu" and library.unavailable() is None and packing.supported(*weight.shape) is None:
        codes, scales = packing.encode(weight, NF4)
        return codes.view(-1, 1), scales
    rows = max(1, _PIECE // weight.shape[1]) if device.type == "cpu" else len(weight)
    pieces = [
        functional().quantize_4bit(piece.to(device), blocksize=BLOCK, compress_statistics=False, quant_type="nf4")
        for piece in torch.split(weight, rows)
    ]
    return torch.cat([codes for codes, _ in pieces]), torch.cat([state.absmax for _, state in pieces])


def restore(parts: Mapping[str, Tensor], shape: tuple[int, int], dtype: torch.dtype) -> Linear4bit:  # noqa: ARG001
    """Return the layer of these buffers; nothing is copied."""
    return Linear4bit(shape, parts)
