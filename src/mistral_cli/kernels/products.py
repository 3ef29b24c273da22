"""The operator ``mistral_cli::packed_linear``: rows times packed weights. Knows tensors and the library; no module.

Each row is quantized in groups of 64 on the way, products within a group are whole numbers, and the groups are added in
order. Coarse: to 8 bits (the largest magnitude becomes 127); fine: to 13 bits (4095), with levels as precise, which for
few rows costs little where memory is the limit, and twice the price for many. So a row's result depends on nothing but
the row and the weights: neither on the processor's variant nor on the number of threads, nor on the rows beside it. A
row with NaN or infinity comes out as NaN.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence  # noqa: TC003 (torch reads the annotations of operators)
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mistral_cli.errors import OutOfMemoryError
from mistral_cli.kernels.library import CALL, load
from mistral_cli.kernels.packing import TYPES, Packed, dequantize
from mistral_cli.kernels.scales import planes
from mistral_cli.kernels.schemes import GROUP, SCHEMES, Scheme

if TYPE_CHECKING:
    from mistral_cli.kernels.linear import PackedLinear


@torch.library.custom_op("mistral_cli::packed_linear", mutates_args=(), device_types="cpu")
def packed_linear(x: Tensor, weights: Sequence[Tensor], outputs: int, scheme: str, fine: bool) -> Tensor:
    """Return ``x`` (…, inputs) times the transposed weights: (…, outputs), in the dtype of ``x``.

    Args:
        x: any floating dtype; float32 and bfloat16 are read as they are, others by way of float32.
        weights: see ``Packed.tensors``.
        outputs: rows of the weight.
        scheme: name in ``SCHEMES``.
        fine: the precision.

    Raises:
        KernelUnavailableError: the library was not built here.
        OutOfMemoryError: no memory for the quantized rows.
    """
    return multiply(x, _packed(weights, outputs, scheme), fine=fine)


@packed_linear.register_fake
def _shape_of(x: Tensor, weights: Sequence[Tensor], outputs: int, scheme: str, fine: bool) -> Tensor:  # noqa: ARG001
    return x.new_empty((*x.shape[:-1], outputs))


def _keep_weights(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[object, ...], output: Tensor) -> None:  # noqa: ARG001
    _, weights, outputs, scheme, _ = inputs
    ctx.save_for_backward(*weights)  # type: ignore[misc]
    ctx.outputs, ctx.scheme = outputs, scheme  # type: ignore[attr-defined]


def _backward(
    ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
) -> tuple[Tensor, list[None], None, None, None]:
    """Pass the gradient on to ``x``, as if it had not been rounded; the weights are fixed."""
    weights = ctx.saved_tensors  # type: ignore[attr-defined]
    result = packed_gradient(gradient, weights, ctx.outputs, ctx.scheme)  # type: ignore[attr-defined]
    return result, [None] * len(weights), None, None, None


packed_linear.register_autograd(_backward, setup_context=_keep_weights)


@torch.library.custom_op("mistral_cli::packed_gradient", mutates_args=(), device_types="cpu")
def packed_gradient(gradient: Tensor, weights: Sequence[Tensor], outputs: int, scheme: str) -> Tensor:
    """Return ``gradient`` (…, outputs) times the weights: (…, inputs), computed in the dtype of ``gradient``."""
    return gradient @ dequantize(_packed(weights, outputs, scheme), gradient.dtype)


@packed_gradient.register_fake
def _gradient_shape(gradient: Tensor, weights: Sequence[Tensor], outputs: int, scheme: str) -> Tensor:  # noqa: ARG001
    return gradient.new_empty((*gradient.shape[:-1], weights[0].shape[1] * GROUP))


def _packed(weights: Sequence[Tensor], outputs: int, scheme: str) -> Packed:
    nibbles, scales, *nested = weights
    return Packed(
        scheme=SCHEMES[scheme],
        outputs=outputs,
        inputs=nibbles.shape[1] * GROUP,
        nibbles=nibbles,
        scales=scales,
        nested=nested[0] if nested else None,
    )


def multiply(x: Tensor, weights: Packed, *, fine: bool = False, variant: str | None = None) -> Tensor:
    """Do what ``packed_linear`` does without the operator's overhead, and without gradients.

    Args:
        x: as there.
        weights: (outputs, inputs).
        fine: the precision.
        variant: name of the variant to use; None for the best.

    Raises:
        ValueError: ``x`` has another width than the weights, or is on another device.
        OutOfMemoryError: no memory for the quantized rows.
    """
    return _multiply(x, [(weights, fine)], variant)[0]


def multiply_joined(x: Tensor, layers: Sequence[PackedLinear], *, variant: str | None = None) -> tuple[Tensor, ...]:
    """Return what each of ``layers`` makes of ``x`` (…, inputs), bit for bit what they give one at a time.

    The rows are quantized once, and the threads called once. Without gradients.

    Raises:
        ValueError: ``x`` has another width than a layer, or is on another device.
        OutOfMemoryError: no memory for the quantized rows.
    """
    return _multiply(x, [(layer.packed, layer.fine) for layer in layers], variant)


def _multiply(x: Tensor, all_weights: Sequence[tuple[Packed, bool]], variant: str | None) -> tuple[Tensor, ...]:
    rows = x if x.dtype in TYPES else x.float()
    rows = rows.reshape(-1, rows.shape[-1])
    if rows.stride(-1) != 1:
        rows = rows.contiguous()
    library, kind = load(), TYPES[rows.dtype]
    head = (library.index(variant), torch.get_num_threads(), rows.data_ptr(), rows.stride(0), kind)
    calls, results, held = b"", [], []
    for weights, fine in all_weights:
        if weights.inputs != rows.shape[1] or rows.device.type != "cpu":
            raise ValueError(f"{tuple(x.shape)} on {x.device} does not meet {weights.outputs} × {weights.inputs}")
        result = torch.empty(*x.shape[:-1], weights.outputs, dtype=rows.dtype)
        sizes = (result.data_ptr(), kind, len(rows), weights.outputs, weights.inputs)
        parts = [part.contiguous() for part in weights.tensors]
        addresses = [part.data_ptr() for part in parts] + [0] * (3 - len(parts))
        calls += CALL.pack(*head, *sizes, *addresses, *levels(weights.scheme, fine))
        results.append(result)
        held.append(parts)  # until the call is over
    if library.functions.products_joined(calls, len(results)):
        raise OutOfMemoryError(f"No memory for {len(rows)} quantized rows.", "Use a smaller batch.")
    return tuple(result if result.dtype == x.dtype else result.to(x.dtype) for result in results)


def levels(scheme: Scheme, fine: bool = False) -> tuple[int, float]:
    """Return the address of a scheme's ``Levels`` (``csrc/products.h``), for good, and the step of a ``Call``."""
    return _levels(scheme, fine).data_ptr(), scheme.step(fine)


def integers(scheme: Scheme) -> Tensor:
    """Return a scheme's ``Levels`` for coarse products."""
    return _levels(scheme, False)


@functools.cache
def _levels(scheme: Scheme, fine: bool) -> Tensor:
    words = planes() + struct.pack("@16b16hi", *scheme.integers, *scheme.fine_integers, fine)
    return torch.frombuffer(bytearray(words), dtype=torch.uint8).clone()  # the clone begins at a line of the cache
