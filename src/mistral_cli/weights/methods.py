"""The ways to hold a linear layer's weights in fewer bits: one row each, and which of them is taken. Opens no file.

A further way is one file that computes and one row here: how a weight is quantized, which module computes with it, on
which devices, and in which bytes it is kept on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from mistral_cli.errors import UsageError
from mistral_cli.kernels.schemes import SCHEMES
from mistral_cli.weights import (
    bitsandbytes_4bit,
    bitsandbytes_8bit,
    bitsandbytes_tiles,
    frozen_linear,
    kernel_linear,
    torch_int4,
    torch_int8,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from torch import Tensor, nn

NONE = "none"
"""The name that asks for no quantization."""


class Quantize(Protocol):
    """Makes a layer of a weight (outputs, inputs) that lies on any device; the layer is on ``device``.

    It computes rows of ``dtype``, and has ``in_features``, ``out_features`` and ``dequantize(dtype)``.
    """

    def __call__(self, weight: Tensor, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """Return the layer."""
        ...


class Restore(Protocol):
    """Makes the layer of this (outputs, inputs) from what ``Method.tensors`` gave; on the CPU nothing is copied."""

    def __call__(self, parts: Mapping[str, Tensor], shape: tuple[int, int], dtype: torch.dtype) -> nn.Module:
        """Return the layer, where the tensors are."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to quantize a linear layer and to compute with it."""

    scheme: str
    """What the user asks for: ``nf4``, ``int8``, ``int4``."""
    by: str
    """Who computes: ``kernel`` (ours), ``bitsandbytes``, ``torch``."""
    devices: tuple[str, ...]
    layout: str
    """Name and version of the bytes that ``tensors`` gives."""
    unavailable: Callable[[torch.device], str | None]
    """Says why it cannot be used on a device of these kinds; None where it can."""
    supports: Callable[[int, int], bool]
    """Tells whether it can hold a weight of (outputs, inputs)."""
    nbytes: Callable[[int, int], int]
    """Counts the bytes of a weight of (outputs, inputs)."""
    quantize: Quantize
    tensors: Callable[[nn.Module], dict[str, Tensor]]
    """Takes a layer apart into what it computes with, in that very layout."""
    restore: Restore
    level: Callable[[], str] = str
    """Says what else those bytes depend on, a kind of processor or another's release; empty where nothing."""


class _Layers(Protocol):
    """A module that has one kind of ``FrozenLinear``."""

    def unavailable(self, device: torch.device) -> str | None: ...
    def supports(self, outputs: int, inputs: int) -> bool: ...
    def nbytes(self, outputs: int, inputs: int) -> int: ...
    @property
    def quantize(self) -> Quantize: ...
    @property
    def restore(self) -> Restore: ...


def _by(layers: _Layers, scheme: str, by: str, devices: tuple[str, ...], layout: str) -> Method:
    """Return the row of a module's layers."""
    return Method(
        scheme=scheme,
        by=by,
        devices=devices,
        layout=layout,
        unavailable=layers.unavailable,
        supports=layers.supports,
        nbytes=layers.nbytes,
        quantize=layers.quantize,
        tensors=frozen_linear.parts,
        restore=layers.restore,
    )


def _by_kernel(scheme: str) -> Method:
    return Method(
        scheme=scheme,
        by="kernel",
        devices=("cpu",),
        layout=kernel_linear.LAYOUTS[scheme],
        unavailable=kernel_linear.unavailable,
        supports=kernel_linear.supports,
        nbytes=SCHEMES[scheme].packed_bytes,
        quantize=partial(kernel_linear.quantize, scheme),
        tensors=kernel_linear.tensors,
        restore=partial(kernel_linear.restore, scheme),
    )


METHODS = (
    _by_kernel("nf4"),
    _by(bitsandbytes_tiles, "nf4", "bitsandbytes", ("cpu",), "nf4-bitsandbytes-tiles-1"),
    _by(bitsandbytes_4bit, "nf4", "bitsandbytes", ("cuda", "cpu"), "nf4-bitsandbytes-1"),
    _by(bitsandbytes_8bit, "int8", "bitsandbytes", ("cuda",), "int8-bitsandbytes-1"),
    _by(torch_int8, "int8", "torch", ("cpu",), "int8-torch-1"),
    _by_kernel("int4"),
    replace(_by(torch_int4, "int4", "torch", ("cpu",), "int4-torch-cpu-1"), level=torch_int4.cpu_level),
    replace(
        _by(torch_int4, "int4", "torch", ("cuda",), "int4-torch-cuda-1"),
        supports=torch_int4.cuda_supports,
    ),
)
"""Every way; of those of one scheme and device, the most wanted first."""

QUANTIZATIONS = (NONE, *dict.fromkeys(method.scheme for method in METHODS))
"""What ``--quantize`` may be."""


def choose_method(scheme: str, device: torch.device) -> Method | None:
    """Return the first method of ``scheme`` that works on ``device``; None for ``none``.

    Raises:
        UsageError: no such scheme, or no method of it works there; the message says why.
    """
    if scheme == NONE:
        return None
    if scheme not in QUANTIZATIONS:
        raise UsageError(f"--quantize is {scheme!a:.40}, but must be {', '.join(QUANTIZATIONS)}.")
    reasons = method_reasons(scheme, device)
    for method, reason in reasons:
        if reason is None:
            return method
    why = "; ".join(str(reason) for _, reason in reasons) or f"nothing computes it there, but on {_devices(scheme)}"
    hint = "Leave --quantize out." if device.type == "cpu" else "Add --device cpu, or leave --quantize out."
    raise UsageError(f"--quantize {scheme} cannot be used on {device}: {why}.", hint)


def method_reasons(scheme: str, device: torch.device) -> list[tuple[Method, str | None]]:
    """Return the methods of ``scheme`` for this kind of device, and why each cannot be used; None where it can."""
    rows = (method for method in METHODS if method.scheme == scheme and device.type in method.devices)
    return [(method, method.unavailable(device)) for method in rows]


def _devices(scheme: str) -> str:
    kinds = dict.fromkeys(device for method in METHODS if method.scheme == scheme for device in method.devices)
    return " and ".join(kinds)
