"""Keys and values of the tokens so far, written in place. Knows positions; knows no tokens and no attention.

A layer that sees everything keeps everything. A layer with a window of W keeps the last W - 1 tokens and room for a
block more; when that is full, the last W - 1 move to the front. What a step reads therefore always lies in one piece.

A cache of the kind ``int8`` holds codes of one byte and one float32 scale for each token and head: half the memory of
bfloat16. What is read is what was rounded, also by the tokens of the same pass, so that chunks change nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mistral_cli.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mistral_cli.model.args import ModelArgs

BLOCK = 256
"""Slots are taken in multiples of this; also what a window has beyond its W - 1."""


PLAIN, INT8 = "none", "int8"
KINDS = (PLAIN, INT8)
"""How keys and values may be held: in the model's dtype, or rounded to 8 bits."""

_TINY = torch.finfo(torch.float32).tiny


class WindowRolledError(ValueError):
    """A cache cannot be rewound so far: a window has moved on, and what it left behind was overwritten."""


class LayerCache:
    """Keys and values (B, H_kv, slots, D) of one layer; slot 0 holds the position ``first``.

    Args:
        window: W, or None for a layer that sees everything before it.
        limit: slots at most, but for a single write that needs more.
        like: an empty tensor (B, H_kv, 0, D) of the dtype and device wanted.
        kind: one of ``KINDS``.
    """

    def __init__(self, window: int | None, limit: int, like: Tensor, kind: str = PLAIN) -> None:
        self.window = window
        self.first = 0
        self.dtype = like.dtype
        self._limit = limit
        self.keys = self.values = like if kind == PLAIN else like.to(torch.int8)
        self.scales: tuple[Tensor, Tensor] | None = None
        """Of the codes of keys and of values, (B, H_kv, slots, 1) float32; None where there are no codes."""
        if kind == INT8:
            self.scales = like[..., :1].float(), like[..., :1].float()

    @property
    def slots(self) -> int:
        """Tokens there is room for now."""
        return self.keys.shape[2]

    @property
    def nbytes(self) -> int:
        """Bytes taken so far."""
        return sum(part.nbytes for part in (self.keys, self.values, *(self.scales or ())))

    @property
    def earliest(self) -> int:
        """The shortest length, beyond 0, to which the layer can be rewound and still see all its window holds."""
        return 0 if self.first == 0 or self.window is None else self.first + self.window - 1

    def write(self, start: int, keys: Tensor, values: Tensor) -> None:
        """Put keys and values (B, H_kv, T, D) at positions ``start`` and on; all before ``start`` stays readable."""
        tokens = keys.shape[2]
        self.reserve(start, tokens)
        span = slice(start - self.first, start - self.first + tokens)
        if self.scales is None:
            self.keys[:, :, span] = keys
            self.values[:, :, span] = values
            return
        for codes, scales, states in zip((self.keys, self.values), self.scales, (keys, values), strict=True):
            codes[:, :, span], scales[:, :, span] = quantize(states)

    def read(self, start: int, end: int) -> tuple[Tensor, Tensor]:
        """Return keys and values (B, H_kv, end - start, D) of positions ``start`` to ``end - 1``: views, or decoded."""
        span = slice(start - self.first, end - self.first)
        keys, values = self.keys[:, :, span], self.values[:, :, span]
        if self.scales is None:
            return keys, values
        of_keys, of_values = (scales[:, :, span] for scales in self.scales)
        return (keys * of_keys).to(self.dtype), (values * of_values).to(self.dtype)

    def reserve(self, start: int, tokens: int) -> None:
        """Make room for ``tokens`` from position ``start`` on; what a token at ``start`` sees is kept."""
        held = start - self.first
        if held + tokens <= self.slots:
            return
        if self.window is None or held + tokens <= self._limit:
            wanted = max(held + tokens, self.slots * 3 // 2)  # geometric, so that growing costs O(1) a token
            self._move(held, held, min(self._limit, -(-wanted // BLOCK) * BLOCK))
        else:
            kept = min(self.window - 1, held)
            self._move(held, kept, max(self._limit, kept + tokens))

    def held(self, length: int) -> list[Tensor]:
        """Return what lies in memory of the positions below ``length``: keys, values and their scales, all views."""
        return [part[:, :, : length - self.first] for part in (self.keys, self.values, *(self.scales or ()))]

    def fill(self, first: int, parts: Sequence[Tensor]) -> None:
        """Hold ``parts``, as ``held`` of a layer of the same shape returns them, from position ``first`` on, alone."""
        self.first, tokens = first, parts[0].shape[2]
        self.reserve(first, tokens)
        for part, source in zip((self.keys, self.values, *(self.scales or ())), parts, strict=True):
            part[:, :, :tokens] = source

    def _move(self, held: int, kept: int, slots: int) -> None:
        """Put the last ``kept`` of ``held`` slots to the front of new buffers of ``slots``.

        All changes at once and last: where memory runs out or Ctrl-C comes before, the layer is as it was.
        """
        parts = (self.keys, self.values, *(self.scales or ()))
        keys, values, *scales = [_moved(part[:, :, held - kept : held], slots) for part in parts]
        self.keys, self.values, self.first = keys, values, self.first + held - kept
        self.scales = (scales[0], scales[1]) if scales else None


class KVCache:
    """The cache of all layers.

    ``length`` tokens are valid. A pass writes behind them and ``advance`` is its last act, so a pass that is given up
    half way leaves nothing to undo.

    Args:
        args: the model's shape.
        batch_size: B, sequences side by side.
        capacity: tokens at most; memory is taken as they come.
        dtype: of keys and values.
        device: where they live.
        kind: one of ``KINDS``: ``none`` holds them in ``dtype``, ``int8`` in codes that are decoded to it.
    """

    def __init__(
        self,
        args: ModelArgs,
        *,
        batch_size: int = 1,
        capacity: int,
        dtype: torch.dtype,
        device: torch.device | str,
        kind: str = PLAIN,
    ) -> None:
        self.length = 0
        self.capacity = capacity
        self.batch_size = batch_size
        self.padding: Tensor | None = None
        """(B,) int64: how many of the first tokens of each row are padding; None: none in any."""
        with torch.inference_mode(mode=False):  # written both inside and outside of inference_mode
            like = torch.empty(batch_size, args.n_kv_heads, 0, args.head_dim, dtype=dtype, device=device)
        windows = [args.window(index) for index in range(args.n_layers)]
        self.layers = tuple(LayerCache(window, _limit(window, capacity), like, kind) for window in windows)

    @property
    def earliest(self) -> int:
        """The shortest length, beyond 0, that ``crop`` accepts."""
        return max(layer.earliest for layer in self.layers)

    @property
    def nbytes(self) -> int:
        """Bytes taken so far."""
        return sum(layer.nbytes for layer in self.layers)

    def check_room(self, tokens: int) -> None:
        """Raise a ContextError if ``tokens`` more than there are would pass the capacity."""
        if self.length + tokens > self.capacity:
            raise ContextError(
                f"{self.length + tokens:,} tokens are more than the context of {self.capacity:,}.",
                "Shorten the prompt, or choose a larger context.",
            )

    def reserve(self, tokens: int) -> None:
        """Take the memory for ``tokens`` more at once; a ContextError past the capacity."""
        self.check_room(tokens)
        for layer in self.layers:
            layer.reserve(self.length, tokens)

    def advance(self, tokens: int) -> None:
        """Count ``tokens`` that every layer has written."""
        self.length += tokens

    def crop(self, length: int) -> None:
        """Keep the first ``length`` tokens.

        Raises:
            WindowRolledError: a window has moved past them; nothing was changed. ``crop(0)`` always works.
            ValueError: there are not so many.
        """
        self._check_kept(length)
        self.length = length
        if length == 0:
            self.padding = None
            for layer in self.layers:
                layer.first = 0

    def copy_from(self, other: KVCache, length: int) -> None:
        """Hold the first ``length`` tokens of ``other``, a cache of the same model, instead of what was held.

        Raises:
            WindowRolledError: a window of ``other`` has moved past them; nothing was changed.
            ValueError: there are not so many.
        """
        other._check_kept(length)
        self.crop(0)
        for layer, theirs in zip(self.layers, other.layers, strict=True):
            layer.fill(theirs.first, theirs.held(length))
        self.length, self.padding = length, other.padding

    def _check_kept(self, length: int) -> None:
        if not 0 <= length <= self.length:
            raise ValueError(f"Cannot keep {length} of {self.length} tokens.")
        if 0 < length < self.earliest:
            raise WindowRolledError(f"Cannot rewind to {length} tokens: the window has rolled past {self.earliest}.")


def bytes_per_token(args: ModelArgs, dtype: torch.dtype, kind: str = PLAIN) -> int:
    """Return the bytes that keys and values of one token take in all layers."""
    if kind == PLAIN:
        return args.kv_bytes_per_token(dtype.itemsize)
    return args.kv_bytes_per_token(1) + args.kv_bytes_per_token(torch.float32.itemsize) // args.head_dim


def quantize(states: Tensor) -> tuple[Tensor, Tensor]:
    """Return codes (…, D) int8 and scales (…, 1) float32: the greatest magnitude of the D numbers becomes 127.

    Where one of them is NaN or infinite the scale is not finite, and what is decoded is NaN.
    """
    precise = states.float()
    scales = precise.abs().amax(-1, keepdim=True) * (1 / 127)
    codes = (precise / scales.clamp(min=_TINY)).round().nan_to_num(0, 0, 0).clamp(-127, 127)
    return codes.to(torch.int8), scales


def _limit(window: int | None, capacity: int) -> int:
    return capacity if window is None else min(capacity, window - 1 + BLOCK)


def _moved(tail: Tensor, slots: int) -> Tensor:
    """Return a new buffer of ``slots`` that begins with ``tail``."""
    batch, heads, kept, width = tail.shape
    with torch.inference_mode(mode=False):
        buffer = torch.empty(batch, heads, slots, width, dtype=tail.dtype, device=tail.device)
    buffer[:, :, :kept] = tail
    return buffer
