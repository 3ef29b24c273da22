"""NF4 in tiles, which bitsandbytes computes on CPUs with AVX-512 BF16. Knows one layer at a time; no model and no file.

bitsandbytes itself brings the weights into this form at the first forward without gradients, and then cuts the graph.
Here they are made once, kept, and gradients still pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

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

_MANY = 384
"""Rows from which on it is faster to make numbers of the weights and to multiply those (see ``_multiply_many``)."""
_PIECE = 16 * TILE
"""Outputs that become numbers at once: few enough to stay in the processor's cache."""


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
        if len(rows) >= _MANY and library.dequantizer() is not None:
            return self._multiply_many(rows).view(*x.shape[:-1], self.out_features).to(x.dtype)
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

    def _multiply_many(self, rows: Tensor) -> Tensor:
        """Map (N, inputs) to (N, outputs) by torch's product of bfloat16.

        A product of tiles makes the numbers anew for every few rows. Here they are made once, piece by piece (512 rows
        of 4096 × 4096 on two cores: 49 ms, of which 8 for the numbers, against 60; 4096 × 14336: 172 against 213).
        """
        pieces = zip(torch.split(self.tiles, _PIECE), torch.split(self.scales, _PIECE, 1), strict=True)
        return torch.cat([functional.linear(rows, _numbers(tiles, scales)) for tiles, scales in pieces], 1)

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
        library.functional()
        scales, shape = self.scales.T.float().flatten(), (self.out_features, self.in_features)
        numbers: Tensor = torch.ops.bitsandbytes.dequantize_4bit.default(
            from_tiles(self.tiles), scales, BLOCK, NF4.name, shape, dtype
        )
        return numbers


def _numbers(tiles: Tensor, scales: Tensor) -> Tensor:
    """Return weights in bfloat16, as ``dequantize`` does, without the import of bitsandbytes."""
    convert, codes, by_output = library.dequantizer(), from_tiles(tiles), scales.T.float().contiguous()
    outputs, inputs = len(tiles), tiles.shape[1] * 2
    numbers = torch.empty(outputs, inputs, dtype=torch.bfloat16)
    assert convert is not None  # noqa: S101 (who calls has asked)
    convert(codes.data_ptr(), by_output.data_ptr(), numbers.data_ptr(), BLOCK, outputs, inputs)
    return numbers


def to_tiles(codes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return codes (two a byte, in the order of the rows) in the order that the tiled product reads.

    A byte of it holds the codes of one input for outputs ``i`` (low half) and ``i + 16`` of a tile
    (``functional._convert_weight_packed_for_cpu`` of bitsandbytes 0.50).
    """
    low, high = codes.view(-1, 2, TILE // 2, shape[1] // 2).unbind(1)  # (tiles, 16, inputs / 2)
    even, odd = (low >> 4) | (high & 0xF0), (low & 0xF) | (high << 4)
    return torch.stack((even, odd), -1).transpose(1, 2).reshape(shape[0], shape[1] // 2)


def from_tiles(tiles: Tensor) -> Tensor:
    """Return the codes (outputs, inputs / 2) that ``to_tiles`` took, two of them a byte."""
    outputs, half = tiles.shape
    even, odd = tiles.view(outputs // TILE, half, TILE // 2, 2).permute(3, 0, 2, 1).contiguous()
    low, high = (even << 4) | (odd & 0xF), (even & 0xF0) | (odd >> 4)  # (tiles, 16, inputs / 2)
    return torch.stack((low, high), 1).view(outputs, half)


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
