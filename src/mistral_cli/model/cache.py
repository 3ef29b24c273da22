"""Keys and values of the tokens so far, written in place. Knows positions; knows no tokens and no attention.

A layer that sees everything keeps everything. A layer with a window of W keeps the last W - 1 tokens and room for a
block more; when that is full, the last W - 1 move to the front. What a step reads therefore always lies in one piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mistral_cli.errors import ContextError

if TYPE_CHECKING:
    from torch import Tensor

    from mistral_cli.model.args import ModelArgs

BLOCK = 256
"""Slots are taken in multiples of this; also what a window has beyond its W - 1."""


class WindowRolledError(ValueError):
    """A cache cannot be rewound so far: a window has moved on, and what it left behind was overwritten."""


class LayerCache:
    """Keys and values (B, H_kv, slots, D) of one layer; slot 0 holds the position ``first``.

    Args:
        window: W, or None for a layer that sees everything before it.
        limit: slots at most, but for a single write that needs more.
        like: an empty tensor (B, H_kv, 0, D) of the dtype and device wanted.
    """

    def __init__(self, window: int | None, limit: int, like: Tensor) -> None:
        self.window = window
        self.first = 0
        self._limit = limit
        self.keys = self.values = like

    @property
    def slots(self) -> int:
        """Tokens there is room for now."""
        return self.keys.shape[2]

    @property
    def earliest(self) -> int:
        """The shortest length, beyond 0, to which the layer can be rewound and still see all its window holds."""
        return 0 if self.first == 0 or self.window is None else self.first + self.window - 1

    def write(self, start: int, keys: Tensor, values: Tensor) -> None:
        """Put keys and values (B, H_kv, T, D) at positions ``start`` and on; all before ``start`` stays readable."""
        tokens = keys.shape[2]
        self.reserve(start, tokens)
        slot = start - self.first
        self.keys[:, :, slot : slot + tokens] = keys
        self.values[:, :, slot : slot + tokens] = values

    def read(self, start: int, end: int) -> tuple[Tensor, Tensor]:
        """Return views of keys and values (B, H_kv, end - start, D) of positions ``start`` to ``end - 1``."""
        span = slice(start - self.first, end - self.first)
        return self.keys[:, :, span], self.values[:, :, span]

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

    def _move(self, held: int, kept: int, slots: int) -> None:
        """Put the last ``kept`` of ``held`` slots to the front of new buffers of ``slots``.

        All changes at once and last: where memory runs out or Ctrl-C comes before, the layer is as it was.
        """
        keys = _moved(self.keys[:, :, held - kept : held], slots)
        values = _moved(self.values[:, :, held - kept : held], slots)
        self.keys, self.values, self.first = keys, values, self.first + held - kept


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
    """

    def __init__(
        self, args: ModelArgs, *, batch_size: int = 1, capacity: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        self.length = 0
        self.capacity = capacity
        self.batch_size = batch_size
        self.padding: Tensor | None = None
        """(B,) int64: how many of the first tokens of each row are padding; None: none in any."""
        with torch.inference_mode(mode=False):  # written both inside and outside of inference_mode
            like = torch.empty(batch_size, args.n_kv_heads, 0, args.head_dim, dtype=dtype, device=device)
        windows = [args.window(index) for index in range(args.n_layers)]
        self.layers = tuple(LayerCache(window, _limit(window, capacity), like) for window in windows)

    @property
    def earliest(self) -> int:
        """The shortest length, beyond 0, that ``crop`` accepts."""
        return max(layer.earliest for layer in self.layers)

    @property
    def nbytes(self) -> int:
        """Bytes taken so far."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.layers)

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
        if not 0 <= length <= self.length:
            raise ValueError(f"Cannot keep {length} of {self.length} tokens.")
        if 0 < length < self.earliest:
            raise WindowRolledError(f"Cannot rewind to {length} tokens: the window has rolled past {self.earliest}.")
        self.length = length
        if length == 0:
            self.padding = None
            for layer in self.layers:
                layer.first = 0


def _limit(window: int | None, capacity: int) -> int:
    return capacity if window is None else min(capacity, window - 1 + BLOCK)


def _moved(tail: Tensor, slots: int) -> Tensor:
    """Return a new buffer of ``slots`` that begins with ``tail``."""
    batch, heads, kept, width = tail.shape
    with torch.inference_mode(mode=False):
        buffer = torch.empty(batch, heads, slots, width, dtype=tail.dtype, device=tail.device)
    buffer[:, :, :kept] = tail
    return buffer
