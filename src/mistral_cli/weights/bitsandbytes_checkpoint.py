"""A layer that bitsandbytes quantized becomes one that computes here. Knows its tensors; no file and no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mistral_cli.kernels import packing
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.scales import are_levels
from mistral_cli.kernels.schemes import GROUP, NF4, RUN
from mistral_cli.weights import bitsandbytes_4bit, bitsandbytes_tiles, kernel_linear, torch_int8
from mistral_cli.weights.bitsandbytes_8bit import Linear8bit
from mistral_cli.weights.prequantized import INT8

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from mistral_cli.kernels.packing import Packed
    from mistral_cli.weights.prequantized import Quantized


def take_over(
    layer: Quantized, parts: Mapping[str, Tensor], shape: tuple[int, int], device: torch.device, dtype: torch.dtype
) -> nn.Module:
    """Return a layer of these weights, code for code, computed by the fastest that reads them.

    Args:
        layer: what the checkpoint says of it.
        parts: its tensors, on the CPU.
        shape: (outputs, inputs).
        device: where it goes.
        dtype: what it computes.
    """
    if layer.kind == INT8:
        return _eight_bits(parts, shape, device, dtype)
    codes = parts["weight"].view(torch.uint8)
    if _is_ours(layer, shape, device):
        return PackedLinear.from_packed(_packed(layer, parts, shape))
    scales = _scales(layer, parts)
    kept = {"codes": codes.reshape(-1, 1).to(device, copy=True), "absmax": scales.to(device, copy=True)}
    plain = bitsandbytes_4bit.Linear4bit(shape, kept, kind=layer.kind, block=layer.block)
    return bitsandbytes_tiles.from_blocks(plain) if _fits_tiles(layer, shape, device) else plain


def taken_bytes(layer: Quantized, shape: tuple[int, int], device: torch.device) -> int:
    """Return the bytes of what ``take_over`` returns, with scales in 16 bits where they are of the model's dtype."""
    outputs, inputs = shape
    if layer.kind == INT8:
        return torch_int8.nbytes(*shape) if _is_torchs(shape, device) else outputs * (inputs + 4)
    if _is_ours(layer, shape, device):
        return NF4.packed_bytes(*shape, nested=layer.nested_block == RUN)
    if _fits_tiles(layer, shape, device):
        return bitsandbytes_tiles.nbytes(*shape)
    return -(-outputs * inputs // 2) + 4 * -(-outputs * inputs // layer.block)


def is_usual(layer: Quantized) -> bool:
    """Tell whether it is in a form that we quantize to ourselves, so that the same layers compute it."""
    return layer.kind == INT8 or (layer.kind, layer.block) == (NF4.name, GROUP)


def _is_ours(layer: Quantized, shape: tuple[int, int], device: torch.device) -> bool:
    fits = device.type == "cpu" and is_usual(layer) and kernel_linear.supports(*shape)
    return fits and kernel_linear.unavailable(device) is None


def _fits_tiles(layer: Quantized, shape: tuple[int, int], device: torch.device) -> bool:
    fits = device.type == "cpu" and is_usual(layer)
    return fits and bitsandbytes_tiles.supports(*shape) and bitsandbytes_tiles.unavailable(device) is None


def _is_torchs(shape: tuple[int, int], device: torch.device) -> bool:
    return device.type == "cpu" and torch_int8.supports(*shape) and torch_int8.unavailable(device) is None


def _packed(layer: Quantized, parts: Mapping[str, Tensor], shape: tuple[int, int]) -> Packed:
    """Return the layer as our kernels read it; scales that are quantized as we do it stay so."""
    codes = parts["weight"].view(torch.uint8)
    if layer.nested_block != RUN or not are_levels(parts["nested_quant_map"]):
        return packing.pack(codes, _scales(layer, parts), NF4, shape)
    nested = torch.cat((torch.tensor([layer.nested_offset]), parts["nested_absmax"].float().flatten()))
    return packing.pack(codes, parts["absmax"].flatten(), NF4, shape, nested=nested)


def _scales(layer: Quantized, parts: Mapping[str, Tensor]) -> Tensor:
    """Return a scale for each block, in float32."""
    if not layer.nested_block:
        return parts["absmax"].float().flatten()
    nested = parts["nested_quant_map"], parts["nested_absmax"], layer.nested_offset
    return packing.restore_scales(parts["absmax"], *nested, block=layer.nested_block)


def _eight_bits(
    parts: Mapping[str, Tensor], shape: tuple[int, int], device: torch.device, dtype: torch.dtype
) -> nn.Module:
    codes, absmax = parts["weight"].to(device, copy=True), parts["SCB"].to(device, torch.float32, copy=True)
    if _is_torchs(shape, device):
        scales = (absmax / 127).to(dtype if dtype in torch_int8.DTYPES else torch.float32)
        return torch_int8.Int8Linear(shape, {"codes": codes, "scales": scales})
    return Linear8bit(shape, {"codes": codes, "absmax": absmax})
