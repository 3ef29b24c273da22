"""4-bit layers that torch computes: 16 even levels, a scale a group of 64 inputs. Knows one layer at a time.

The codes and scales are those of our own kernels' ``int4`` (``kernels/schemes.py``); only their order differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mistral_cli.kernels.schemes import GROUP
from mistral_cli.weights.frozen_linear import FrozenLinear

if TYPE_CHECKING:
    from collections.abc import Mapping

_INNER = 8
"""Tiles of 16 inputs that a CUDA thread reads at once; they divide the inputs."""
_DTYPES = (torch.bfloat16, torch.float16, torch.float32)


class Int4Linear(FrozenLinear):
    """Buffers: ``packed``, in the order that torch's product reads; ``scales`` (inputs / 64, outputs, 2).

    The second number of a scale is what is added: 0.
    """

    packed: Tensor
    scales: Tensor

    def multiply(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs), in the dtype of ``x``."""
        rows = x.reshape(-1, self.in_features).to(self.scales.dtype).contiguous()
        on_cpu = x.device.type == "cpu"
        product = torch.ops.aten._weight_int4pack_mm_for_cpu if on_cpu else torch.ops.aten._weight_int4pack_mm
        result: Tensor = product(rows, self.packed, GROUP, self.scales)
        return result.view(*x.shape[:-1], self.out_features).to(x.dtype)

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the weights as numbers, (outputs, inputs): the products of every unit row."""
        units = torch.eye(self.in_features, dtype=self.scales.dtype, device=self.scales.device)
        return self.multiply(units).T.to(dtype).contiguous()


def unavailable(device: torch.device) -> str | None:
    """Return why torch cannot on this device; None where it can."""
    product = "_weight_int4pack_mm_for_cpu" if device.type == "cpu" else "_weight_int4pack_mm"
    if not hasattr(torch.ops.aten, product):
        return f"torch {torch.__version__} has no 4-bit product"
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return "torch's 4-bit product needs a GPU of compute capability 8.0 or more"
    return None


def cpu_level() -> str:
    """Return what the order of the packed codes depends on: how wide the registers are that this torch uses."""
    return f"-{torch.backends.cpu.get_cpu_capability()}"


def supports(outputs: int, inputs: int) -> bool:
    """Tell whether a weight of this shape can be held on a CPU."""
    return outputs > 0 and inputs > 0 and outputs % 16 == 0 and inputs % GROUP == 0


def cuda_supports(outputs: int, inputs: int) -> bool:
    """Tell whether a weight of this shape can be held on a GPU."""
    return supports(outputs, inputs) and inputs % (16 * _INNER) == 0


def nbytes(outputs: int, inputs: int) -> int:
    """Return the bytes of a weight of this shape, with scales in 16 bits."""
    return outputs * inputs // 2 + outputs * inputs // GROUP * 4


def quantize(weight: Tensor, device: torch.device, dtype: torch.dtype) -> Int4Linear:
    """Return a layer of ``weight`` (outputs, inputs), on ``device``; on a GPU it computes in bfloat16."""
    shape = (weight.shape[0], weight.shape[1])
    kept = dtype if device.type == "cpu" and dtype in _DTYPES else torch.bfloat16
    codes, scales = _codes(weight.to(device), kept)
    pairs = torch.stack((scales, torch.zeros_like(scales)), -1).transpose(0, 1).contiguous()
    return Int4Linear(shape, {"packed": _packed(codes), "scales": pairs})


def _codes(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return codes 0 to 15 (outputs, inputs) as uint8, 8 being zero, and scales (outputs, groups).

    The scale takes the sign that sends the weight of greatest magnitude to the lowest level, of which there are eight
    below zero and seven above.
    """
    groups = weight.float().view(len(weight), -1, GROUP)
    greatest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
    scales = (greatest / -8).to(dtype)
    codes = groups.div_(scales.float()).round_().nan_to_num_(0).clamp_(-8, 7).add_(8)
    return codes.to(torch.uint8).flatten(1), scales.squeeze(-1)


def _packed(codes: Tensor) -> Tensor:
    if codes.device.type == "cpu":
        packed: Tensor = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.int(), 1)
        return packed
    pairs = (codes[:, ::2] << 4) | codes[:, 1::2]
    tiles: Tensor = torch.ops.aten._convert_weight_to_int4pack(pairs.contiguous(), _INNER)
    return tiles


def restore(parts: Mapping[str, Tensor], shape: tuple[int, int], dtype: torch.dtype) -> Int4Linear:  # noqa: ARG001
    """Return the layer of these buffers; nothing is copied."""
    return Int4Linear(shape, parts)
