"""Where one of transformers' models goes and whether it fits, before it is loaded. Opens no file; counts a skeleton."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mistral_cli.engine.host_memory import host_free
from mistral_cli.engine.plan import LEAST_CONTEXT, USUAL_CONTEXT, free_memory
from mistral_cli.errors import OutOfMemoryError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

UNLIMITED = 1 << 20
"""Tokens that a model may hold whose config names no limit."""

_USABLE = 0.9
"""The part of what is free that weights and cache may take; the rest is for what a pass computes."""

_BITS = {"nf4": 4.127, "int8": 8.0}
"""Bits a number of a quantized matrix takes: QLoRA, Dettmers et al. 2023, section 3; LLM.int8, 2022, section 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the model goes."""

    device_map: str | dict[str, str]
    """For ``from_pretrained``: one device for everything, or ``auto``."""
    max_memory: Mapping[int | str, int] | None
    """Bytes that ``auto`` may take on each GPU (by its number) and on the ``cpu``; the rest stays on the disk."""
    context: int
    """Tokens that fit, prompt and answer together."""


def positions(config: Any) -> int:
    """Return the tokens that the model was made for."""
    most = getattr(config.get_text_config(), "max_position_embeddings", None)
    return most if isinstance(most, int) and most > 0 else UNLIMITED


def parameters(skeleton: nn.Module) -> int:
    """Return how many numbers the model has; what is tied counts once."""
    return sum(weight.numel() for weight in skeleton.parameters())


def weight_bytes(skeleton: nn.Module, dtype: torch.dtype, quantize: str) -> int:
    """Return the bytes of all weights in ``dtype``; those of linear layers, but the head, quantized where asked."""
    total = parameters(skeleton)
    if quantize not in _BITS:
        return total * dtype.itemsize
    head = skeleton.get_output_embeddings()  # type: ignore[operator]  # transformers' own
    linears = [module for module in skeleton.modules() if isinstance(module, nn.Linear) and module is not head]
    packed = sum(module.weight.numel() for module in linears)
    return (total - packed) * dtype.itemsize + int(packed * _BITS[quantize] / 8)


def kv_bytes_per_token(config: Any, dtype: torch.dtype) -> int:
    """Return the bytes of keys and values of one token in all layers, as if each had attention."""
    text = config.get_text_config()
    layers, heads, width = (getattr(text, key, None) or 0 for key in _SIZES)
    kv_heads = getattr(text, "num_key_value_heads", None) or heads
    head_dim = getattr(text, "head_dim", None) or (width // heads if heads else 0)
    return 2 * layers * kv_heads * head_dim * dtype.itemsize


_SIZES = ("num_hidden_layers", "num_attention_heads", "hidden_size")


def check_context(asked: int | None, most: int) -> None:
    """Refuse a context that the model was not made for.

    Raises:
        UsageError: with both numbers.
    """
    if asked is not None and not 1 <= asked <= most:
        raise UsageError(f"--context is {asked:,}, but must be 1 to {most:,}, the positions this model was made for.")


def place(*, weights: int, per_token: int, most: int, asked: int | None, device: torch.device | None) -> Placement:
    """Return where a model of ``weights`` bytes goes.

    Args:
        weights: bytes of all of them.
        per_token: bytes of keys and values a token.
        most: tokens that the model was made for.
        asked: tokens of context; None: as many of 8,192 as fit.
        device: one for everything; None: all GPUs, then the CPU, then the disk.

    Raises:
        OutOfMemoryError: it does not fit; the message holds both numbers.
    """
    if device is not None:
        context = _fitting(weights, per_token, most, asked, int(free_memory(device) * _USABLE))
        return Placement(device_map={"": str(device)}, max_memory=None, context=context)
    context = asked or min(most, USUAL_CONTEXT)
    gpus: dict[int | str, int] = {
        number: torch.cuda.mem_get_info(number)[0] for number in range(torch.cuda.device_count())
    }
    cache = per_token * context // max(len(gpus), 1)
    room = {place: max(int(free * _USABLE) - cache, 0) for place, free in {**gpus, "cpu": host_free()}.items()}
    return Placement(device_map="auto", max_memory=room, context=context)


def _fitting(weights: int, per_token: int, most: int, asked: int | None, room: int) -> int:
    """Return the context: the one asked for, else the usual one, halved until it fits."""
    context = asked or min(most, USUAL_CONTEXT)
    while weights + context * per_token > room and asked is None and context // 2 >= LEAST_CONTEXT:
        context //= 2
    if weights + context * per_token > room:
        raise OutOfMemoryError(
            f"The model needs {weights + context * per_token:,} bytes ({weights:,} for its weights, the rest for "
            f"{context:,} tokens), but {room:,} can be used.",
            "Add --quantize nf4, take a smaller model, or leave part of it on the disk by --device auto (slow).",
        )
    return context
