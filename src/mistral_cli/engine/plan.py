"""What a model will take and whether it fits, before anything is loaded. Opens no file; counts from ``ModelArgs``.

Weights that are mapped from a quantized copy count in full. They are pages of a file, which the system may take back,
but every token reads all of them: a model whose pages do not stay in memory runs at the speed of the disk. On the
other side of the sum, file pages that are in memory count as free, so that a copy that is cached already is not counted
twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from mistral_cli.engine.host_memory import host_free
from mistral_cli.errors import OutOfMemoryError, UsageError
from mistral_cli.model.args import ModelArgs
from mistral_cli.model.cache import KINDS, PLAIN, bytes_per_token
from mistral_cli.weights.adapters.pairs import adapter_dtype
from mistral_cli.weights.methods import NONE, choose_method, method_reasons
from mistral_cli.weights.quantize import quantized_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mistral_cli.weights.methods import Method

USUAL_CONTEXT = 8192
"""Tokens of context unless asked otherwise, where the model and the memory allow it."""

LEAST_CONTEXT = 512
"""A default context below this is no use to anyone: better say what is missing."""

CHUNK = 512
"""Prompt tokens read in one go; what the activations of a chunk take follows from it.

So many that weights may become numbers for them (``weights.bitsandbytes_tiles``), and few enough to tell how far it is.
"""

_STEP = 256
"""Contexts that nobody asked for are multiples of this."""

_SMALLEST_FORM = {"quantize": "nf4", "kv": next(kind for kind in KINDS if kind != PLAIN)}
"""What takes the least of the widely measured forms: what is suggested where more does not fit."""

_SHAPES = {
    "Small-24B": ModelArgs.small_24b,
    "Nemo-12B": ModelArgs.nemo_12b,
    "Ministral-8B": ModelArgs.ministral_8b,
    "Mistral-7B": ModelArgs.mistral_7b_v03,
}
"""Published models, the largest first."""


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
    """Return about what one chunk takes beside weights and cache: its widest block, scores and logits.

    The kernels for attention hold the scores of some rows at once, not of all.
    """
    wide = args.hidden_dim * 3 + args.dim * 6 + args.head_dim * (args.n_heads + 2 * args.n_kv_heads) * 2
    scores = args.n_heads * tokens * 4  # float32, or the kernel's own scratch
    return CHUNK * wide * dtype.itemsize + CHUNK // 2 * scores + 8 * args.vocab_size * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A model in one form on one device, and what it would take there."""

    args: ModelArgs
    dtype: torch.dtype
    device: torch.device
    quantize: str = NONE
    kv: str = PLAIN
    held: int | None = None
    """Bytes of the weights where they are known: those of a checkpoint that is quantized already."""
    adapters: int = 0
    """Numbers in the adapters that come beside the weights; they are never quantized."""

    @property
    def weights(self) -> int:
        """Bytes of the weights."""
        if self.held is not None:
            return self.held
        return weight_bytes(self.args, self.dtype, choose_method(self.quantize, self.device))

    def beside(self, context: int) -> int:
        """Return the bytes of the cache and one chunk's activations at so many tokens of context."""
        cache = kv_bytes(self.args, context, self.dtype, self.kv)
        return cache + activation_bytes(self.args, context, self.dtype)

    @property
    def resident(self) -> int:
        """Bytes of what is there before the first token: the weights and the adapters."""
        return self.weights + self.adapters * adapter_dtype(self.dtype, self.device).itemsize

    def needed(self, context: int) -> int:
        """Return the bytes of everything."""
        return self.resident + self.beside(context)

    def largest_context(self, free: int, most: int) -> int:
        """Return the most tokens, of ``most`` at most, with which all fits into ``free`` bytes; 0 where none do."""
        low, high, room = 0, most, free - self.resident
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.beside(middle) <= room else (low, middle - 1)
        return low

    def alternatives(self) -> Iterator[tuple[str, Plan]]:
        """Yield forms that take less, from the least loss to the most, each with the flags that ask for it."""
        smaller = {name: value for name, value in _SMALLEST_FORM.items() if getattr(self, name) != value}
        if self.quantize != NONE or all(why for _, why in method_reasons(_SMALLEST_FORM["quantize"], self.device)):
            smaller.pop("quantize", None)
        for names in (("kv",), ("quantize",), ("quantize", "kv")):
            if all(name in smaller for name in names):
                changed = {name: smaller[name] for name in names}
                flags = " ".join(f"--{name} {value}" for name, value in changed.items())
                yield flags, replace(self, **changed)  # type: ignore[arg-type]


def plan_context(plan: Plan, asked: int | None = None, *, more: int = 0) -> int:
    """Return the tokens of context to set up.

    Without ``asked``: the least of what the model was made for, 8,192 and what fits in the free memory. ``more`` bytes
    than are free now will be when the model comes.

    Raises:
        UsageError: more was asked for than the model was made for, or a quantization that nothing computes here.
        OutOfMemoryError: the weights and the cache do not fit; the message holds both numbers, the hint what would fit.
    """
    most = plan.args.max_position_embeddings
    if asked is not None and not 1 <= asked <= most:
        raise UsageError(f"--context is {asked:,}, but must be 1 to {most:,}, the positions this model was made for.")
    free = free_memory(plan.device) + more
    if asked is None:
        context = plan.largest_context(free, min(most, USUAL_CONTEXT))
        if context >= min(most, LEAST_CONTEXT):
            return rounded(context) if context < min(most, USUAL_CONTEXT) else context
    context = min(most, LEAST_CONTEXT) if asked is None else asked
    if plan.needed(context) <= free:
        return context
    raise _too_large(plan, context, free)


def rounded(context: int) -> int:
    """Return a little less where it is a number nobody asked for: free memory is never the same twice."""
    return max(context // _STEP * _STEP, min(context, _STEP))


def _too_large(plan: Plan, context: int, free: int) -> OutOfMemoryError:
    form = str(plan.dtype).removeprefix("torch.") if plan.quantize == NONE else plan.quantize
    adapters = f"{plan.resident - plan.weights:,} for its adapters, " if plan.adapters else ""
    message = (
        f"The model needs {plan.needed(context):,} bytes ({plan.weights:,} for its weights in {form}, {adapters}"
        f"the rest for {context:,} tokens), but {free:,} are free."
    )
    return OutOfMemoryError(message, _nearest(plan, context, free))


def _nearest(plan: Plan, context: int, free: int) -> str:
    """Say what would fit, the nearest first: fewer tokens, a smaller form, a smaller model."""
    fewer = rounded(plan.largest_context(free, context))
    least = min(context, LEAST_CONTEXT)
    if fewer >= least:
        return f"It fits with --context {fewer}."
    for tokens in (context, least):
        for flags, smaller in plan.alternatives():
            if smaller.needed(tokens) <= free:
                return f"It fits with {flags}" + (f" --context {tokens}." if tokens < context else ".")
    return _smaller_models(plan, free)


def _smaller_models(plan: Plan, free: int) -> str:
    """Name the published shapes that fit in the smallest form there is on this device."""
    *_, (flags, smallest) = [("", plan), *plan.alternatives()]
    others = {name: replace(smallest, args=shape(), held=None, adapters=0) for name, shape in _SHAPES.items()}
    fitting = [name for name, other in others.items() if other.needed(LEAST_CONTEXT) <= free]
    if not fitting:
        return "Close other programs, or take the built-in model: no published one fits."
    return f"What fits{' with ' + flags if flags else ''}: {', '.join(fitting)}."
