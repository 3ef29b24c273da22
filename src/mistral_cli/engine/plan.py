"""What a model will take and whether it fits, before anything is loaded. Opens no file; counts from ``ModelArgs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mistral_cli.engine.host_memory import host_free
from mistral_cli.errors import OutOfMemoryError, UsageError
from mistral_cli.model.cache import PLAIN, bytes_per_token
from mistral_cli.weights.methods import NONE, choose_method
from mistral_cli.weights.quantize import quantized_bytes

if TYPE_CHECKING:
    from mistral_cli.model.args import ModelArgs
    from mistral_cli.weights.methods import Method

USUAL_CONTEXT = 8192
"""Tokens of context unless asked otherwise, where the model and the memory allow it."""

LEAST_CONTEXT = 512
"""A default context below this is no use to anyone: better say what is missing."""

CHUNK = 256
"""Prompt tokens read in one go; what the activations of a chunk take follows from it."""


def free_memory(device: torch.device) -> int:
    """Return the bytes that can still be taken on ``device``; for the CPU and MPS, which share it, the host's."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return host_free()


def weight_bytes(args: ModelArgs, dtype: torch.dtype, method: Method | None = None) -> int:
    """Return the bytes of all weights in ``dtype``, or quantized where they can be."""
    return args.parameters * dtype.itemsize if method is None else quantized_bytes(args, dtype, method)


def kv_bytes(args: ModelArgs, tokens: int, dtype: torch.dtype, kv: str = PLAIN) -> int:
    """Return the bytes of keys and values of ``tokens``; a layer with a window holds no more than it and a chunk.

    ``kv`` is how they are held, one of ``model.cache.KINDS``.
    """
    per_layer = bytes_per_token(args, dtype, kv) // args.n_layers
    windows = (args.window(layer) for layer in range(args.n_layers))
    return per_layer * sum(tokens if window is None else min(tokens, window + CHUNK) for window in windows)


def activation_bytes(args: ModelArgs, tokens: int, dtype: torch.dtype) -> int:
    """Return about what one chunk takes beside weights and cache: its widest block, its scores and its logits."""
    wide = args.hidden_dim * 3 + args.dim * 6 + args.head_dim * (args.n_heads + 2 * args.n_kv_heads) * 2
    scores = args.n_heads * tokens * 4  # float32, or the kernel's own scratch
    return CHUNK * (wide * dtype.itemsize + scores) + 8 * args.vocab_size * 4


def plan_context(
    args: ModelArgs,
    *,
    dtype: torch.dtype,
    device: torch.device,
    asked: int | None = None,
    quantize: str = NONE,
    kv: str = PLAIN,
) -> int:
    """Return the tokens of context to set up, the cache being held as ``kv``.

    Without ``asked``: the least of what the model was made for, 8,192 and what fits in the free memory.

    Raises:
        UsageError: more was asked for than the model was made for, or a quantization that nothing computes here.
        OutOfMemoryError: the weights and the cache do not fit; the message holds both numbers.
    """
    most = args.max_position_embeddings
    if asked is not None and not 1 <= asked <= most:
        raise UsageError(f"--context is {asked:,}, but must be 1 to {most:,}, the positions this model was made for.")
    weights = weight_bytes(args, dtype, choose_method(quantize, device))
    context, free = asked or min(most, USUAL_CONTEXT), free_memory(device)
    room = free - weights
    if _beside_weights(args, context, dtype, kv) <= room:
        return context
    if asked is None:
        context = min(most, LEAST_CONTEXT)
        while _beside_weights(args, context * 2, dtype, kv) <= room:
            context *= 2
        if _beside_weights(args, context, dtype, kv) <= room:
            return context
    needed, form = weights + _beside_weights(args, context, dtype, kv), str(dtype).removeprefix("torch.")
    raise OutOfMemoryError(
        f"The model needs {needed:,} bytes ({weights:,} for its weights in {form if quantize == NONE else quantize}, "
        f"the rest for {context:,} tokens), but {free:,} are free.",
        "Lower --context, or close other programs." if room > 0 else "Take a smaller model, or another device.",
    )


def _beside_weights(args: ModelArgs, context: int, dtype: torch.dtype, kv: str) -> int:
    return kv_bytes(args, context, dtype, kv) + activation_bytes(args, context, dtype)
