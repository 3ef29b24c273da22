"""The operator ``mistral_cli::packed_linear``: rows times packed weights. Knows tensors and the library; no module.

Each row is quantized to int8 in groups of 64 on the way (its largest magnitude becomes 127), products within a group
are whole numbers, and the groups are added in order. So a row's result depends on nothing but the row and the weights:
neither on the processor's variant nor on the number of threads, nor on the rows beside it. A row with NaN or infinity
comes out as NaN.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mistral_cli.errors import OutOfMemoryError
from mistral_cli.kernels.library import CALL, load
from mistral_cli.kernels.packing import TYPES, Packed, dequantize
from mistral_cli.kernels.schemes import BLOCK, GROUP, SCHEMES, Scheme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistral_cli.kernels.linear import PackedLinear


@torch.library.custom_op("mistral_cli::packed_linear", mutates_args=(), device_types="cpu")
def packed_linear(x: Tensor, nibbles: Tensor, scales: Tensor, outputs: int, scheme: str) -> Tensor:
    """Return ``x`` (…, inputs) times the transposed weights: (…, outputs), in the dtype of ``x``.

    Args:
        x: any floating dtype; float32 and bfloat16 are read as they are, others by way of float32.
        nibbles: see ``Packed``.
        scales: see ``Packed``.
        outputs: rows of the weight.
        scheme: name in ``SCHEMES``.

    Raises:
        KernelUnavailableError: the library was not built here.
        OutOfMemoryError: no memory for the quantized rows.
    """
    return multiply(x, nibbles, scales, outputs, SCHEMES[scheme])


@packed_linear.register_fake
def _shape_of(x: Tensor, nibbles: Tensor, scales: Tensor, outputs: int, scheme: str) -> Tensor:  # noqa: ARG001
    return x.new_empty((*x.shape[:-1], outputs))


def _keep_weights(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[object, ...], output: Tensor) -> None:  # noqa: ARG001
    _, nibbles, scales, outputs, scheme = inputs
    ctx.save_for_backward(nibbles, scales)  # type: ignore[arg-type]
    ctx.outputs, ctx.scheme = outputs, scheme  # type: ignore[attr-defined]


def _backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
    """Pass the gradient on to ``x``, as if it had not been rounded; the weights are fixed."""
    nibbles, scales = ctx.saved_tensors  # type: ignore[attr-defined]
    return packed_gradient(gradient, nibbles, scales, ctx.outputs, ctx.scheme), None, None, None, None  # type: ignore[attr-defined]


packed_linear.register_autograd(_backward, setup_context=_keep_weights)


@torch.library.custom_op("mistral_cli::packed_gradient", mutates_args=(), device_types="cpu")
def packed_gradient(gradient: Tensor, nibbles: Tensor, scales: Tensor, outputs: int, scheme: str) -> Tensor:
    """Return ``gradient`` (…, outputs) times the weights: (…, inputs), computed in the dtype of ``gradient``."""
    inputs = nibbles.shape[1] * GROUP
    packed = Packed(scheme=SCHEMES[scheme], outputs=outputs, inputs=inputs, nibbles=nibbles, scales=scales)
    return gradient @ dequantize(packed, gradient.dtype)


@packed_gradient.register_fake
def _gradient_shape(gradient: Tensor, nibbles: Tensor, scales: Tensor, outputs: int, scheme: str) -> Tensor:  # noqa: ARG001
    return gradient.new_empty((*gradient.shape[:-1], nibbles.shape[1] * GROUP))


def multiply(
    x: Tensor, nibbles: Tensor, scales: Tensor, outputs: int, scheme: Scheme, *, variant: str | None = None
) -> Tensor:
    """Do what ``packed_linear`` does without the operator's overhead, and without gradients.

    Args:
        x: as there.
        nibbles: as there.
        scales: as there.
        outputs: as there.
        scheme: what the codes stand for.
        variant: name of the variant to use; None for the best.

    Raises:
        ValueError: ``x`` has another width than the weights, or is on another device.
    """
    rows = x if x.dtype in TYPES else x.float()
    inputs = rows.shape[-1]
    if nibbles.shape[1] * GROUP != inputs or nibbles.shape[0] * BLOCK < outputs or rows.device.type != "cpu":
        raise ValueError(f"{tuple(x.shape)} on {x.device} does not meet weights packed as {tuple(nibbles.shape)}")
    rows = rows.reshape(-1, inputs)
    if rows.stride(-1) != 1:
        rows = rows.contiguous()
    result = torch.empty(*x.shape[:-1], outputs, dtype=rows.dtype)
    library = load()
    call = CALL.pack(
        library.index(variant),
        torch.get_num_threads(),
        rows.data_ptr(),
        rows.stride(0),
        TYPES[rows.dtype],
        result.data_ptr(),
        TYPES[rows.dtype],
        rows.shape[0],
        outputs,
        inputs,
        nibbles.data_ptr(),
        scales.data_ptr(),
        integers(scheme).data_ptr(),
        1 / (127 * scheme.unit),
    )
    failed = library.functions.products_linear(call)
    if failed:
        raise OutOfMemoryError(f"No memory for {rows.shape[0]} quantized rows of {inputs}.", "Use a smaller batch.")
    return result if result.dtype == x.dtype else result.to(x.dtype)


def multiply_joined(x: Tensor, layers: Sequence[PackedLinear]) -> tuple[Tensor, ...]:
    """Return what each of ``layers`` makes of ``x`` (…, inputs), bit for bit what they give one at a time; no gradients.

    Raises:
        ValueError: ``x`` has another width than a layer, or is on another device.
        OutOfMemoryError: no memory for the quantized rows.
    """
    return tuple(multiply(x, layer.nibbles, layer.scales, layer.out_features, layer.scheme) for layer in layers)


@functools.cache
def integers(scheme: Scheme) -> Tensor:
    """Return the levels that the products compute with, as they are handed over."""
    return torch.tensor(scheme.integers, dtype=torch.int8)
