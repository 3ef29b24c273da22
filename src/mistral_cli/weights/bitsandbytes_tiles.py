"""NF4 in tiles, which bitsandbytes computes on CPUs with AVX-512 BF16. Knows one layer at a time; no model and no file.

bitsandbytes itself brings the weights into this form at the first forward without gradients, and then cuts the graph.
Here they are made once, kept, and gradients still pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mistral_cli.kernels.schemes import NF4
from mistral_cli.weights import bitsandbytes_4bit
from mistral_cli.weights import bitsandbytes_library as library
from mistral_cli.weights.bitsandbytes_4bit import BLOCK
from mistral_cli.weights.frozen_linear import FrozenLinear

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mistral_cli.weights.bitsandbytes_4bit import Linear4bit

TILE = 32
"""Outputs of a tile."""


class TiledLinear4bit(FrozenLinear):
    """Weights in tiles of 32 outputs; rows are computed in bfloat16.

    Buffers: ``tiles`` (outputs, inputs / 2) uint8, ``scales`` (inputs / 64, outputs) bfloat16.
    """

    tiles: Tensor
    scales: Tensor

    def multiply(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs), in the dtype of ``x``."""
        product = None if torch.compiler.is_compiling() else library.tiled_product()
        if product is None:
            return self._multiply_by_operator(x)
        rows = x.reshape(-1, self.in_features).to(torch.bfloat16).contiguous()
        result = torch.empty(*x.shape[:-1], self.out_features, dtype=torch.bfloat16)
        product(
            len(rows),
            self.out_features,
            self.in_features,
            rows.data_ptr(),
            self.tiles.data_ptr(),
            self.scales.data_ptr(),
            result.data_ptr(),
            BLOCK,
            self.in_features,
            self.out_features,
        )
        return result.to(x.dtype)

    def _multiply_by_operator(self, x: Tensor) -> Tensor:
        library.functional()
        shape = (self.out_features, self.in_features)
        levels = torch.tensor(NF4.levels)
        result: Tensor = torch.ops.bitsandbytes.gemv_4bit.default(
            x.contiguous(), self.tiles, shape, self.scales, levels, BLOCK
        )
        return result

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the weights as numbers, (outputs, inputs)."""
        codes = from_tiles(self.tiles)  # (outputs, inputs)
        levels = torch.tensor(NF4.levels)[codes.int()].view(self.out_features, -1, BLOCK)
        return (levels * self.scales.T.float().unsqueeze(-1)).flatten(1).to(dtype)


def to_tiles(codes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return codes (two a byte, in the order of the rows) in the order that the tiled product reads.

    A byte of it holds the codes of one input for outputs ``i`` (low half) and ``i + 16`` of a tile
    (``functional._convert_weight_packed_for_cpu`` of bitsandbytes 0.50).
    """
    low, high = codes.view(-1, 2, TILE // 2, shape[1] // 2).unbind(1)  # (tiles, 16, inputs / 2)
    even, odd = (low >> 4) | (high & 0xF0), (low & 0xF) | (high << 4)
    return torch.stack((even, odd), -1).transpose(1, 2).reshape(shape[0], shape[1] // 2)


def from_tiles(tiles: Tensor) -> Tensor:
    """Return one code a byte, (outputs, inputs)."""
    outputs, half = tiles.shape
    by_input = tiles.view(outputs // TILE, half, TILE // 2, 2)
    both = torch.stack((by_input & 0xF, by_input >> 4), 1)  # (tiles, 2, inputs / 2, 16, 2)
    return both.permute(0, 1, 3, 2, 4).reshape(outputs, half * 2)


def unavailable(device: torch.device) -> str | None:
    """Return why tiles cannot be used; None where they can."""
    if library.unavailable(device) or library.has_tiles():
        return library.unavailable(device)
    return "this processor has no AVX-512 with BF16, which bitsandbytes' needs"


def supports(outputs: int, inputs: int) -> bool:
    """Tell whether a weight of this shape can be held in tiles."""
    return bitsandbytes_4bit.supports(outputs, inputs) and outputs % TILE == 0


def nbytes(outputs: int, inputs: int) -> int:
    """Return the bytes of ``TiledLinear4bit``."""
    return outputs * inputs // 2 + outputs * inputs // BLOCK * 2


def quantize(weight: Tensor, device: torch.device, dtype: torch.dtype) -> TiledLinear4bit:  # noqa: ARG001
    """Return a layer of ``weight`` (outputs, inputs) in NF4, in tiles; its scales are bfloat16."""
    shape = (weight.shape[0], weight.shape[1])
    codes, absmax = bitsandbytes_4bit.to_blocks(weight, device)
    return TiledLinear4bit(shape, {"tiles": to_tiles(codes, shape), "scales": _tile_scales(absmax, shape)})


def from_blocks(layer: Linear4bit) -> TiledLinear4bit:
    """Return the tiles of an NF4 layer with blocks of 64 on the CPU."""
    shape = (layer.out_features, layer.in_features)
    parts = {"tiles": to_tiles(layer.codes, shape), "scales": _tile_scales(layer.scales(), shape)}
    return TiledLinear4bit(shape, parts)


def _tile_scales(absmax: Tensor, shape: tuple[int, int]) -> Tensor:
    return absmax.view(shape[0], shape[1] // BLOCK).T.to(torch.bfloat16).contiguous()


def restore(parts: Mapping[str, Tensor], shape: tuple[int, int], dtype: torch.dtype) -> TiledLinear4bit:  # noqa: ARG001
    """Return the layer of these buffers; nothing is copied."""
    return TiledLinear4bit(shape, parts)
