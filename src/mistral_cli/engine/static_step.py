"""One token through a model, in tensors that stay where they are. Knows no sampling and nothing of graphs.

Nothing that a step does depends on how many tokens there are: where the token goes is a number on the device, attention
reads a fixed number of slots, and a mask made from that number hides those that are not written yet. So the very same
calls compute every token, and can be recorded or compiled once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mistral_cli.model.attention import Masks, Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from mistral_cli.model.cache import KVCache, LayerCache
    from mistral_cli.model.transformer import Mistral

    CallLayer = Callable[[nn.Module, Tensor, tuple[Span], tuple["Slots"]], Tensor]


class Slots:
    """The first slots of a layer's cache, read whole and written where a tensor says; for layers it is that cache.

    Args:
        layer: whose slot 0 is position 0, and which holds no codes.
        slots: how many.
        position: (1,) int64, where the next token goes.
    """

    def __init__(self, layer: LayerCache, slots: int, position: Tensor) -> None:
        self.window = layer.window
        self.dtype = layer.dtype
        self.keys, self.values = layer.keys[:, :, :slots], layer.values[:, :, :slots]
        self._position = position

    def write(self, start: int, keys: Tensor, values: Tensor) -> None:  # noqa: ARG002 (the tensor says where)
        """Put keys and values (1, H_kv, 1, D) where they belong."""
        self.keys.index_copy_(2, self._position, keys.to(self.dtype))
        self.values.index_copy_(2, self._position, values.to(self.dtype))

    def read(self, start: int, end: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002 (all of them)
        """Return keys and values (1, H_kv, slots, D)."""
        return self.keys, self.values


class Place:
    """The token that is read next and its position, on the device."""

    def __init__(self, device: torch.device) -> None:
        self.token = torch.zeros(1, 1, dtype=torch.int64, device=device)
        self.position = torch.zeros(1, dtype=torch.int64, device=device)

    def put(self, token: int, position: int) -> None:
        """Say what is read next, without waiting for the device."""
        self.token.fill_(token)
        self.position.fill_(position)


def call_layer(layer: nn.Module, hidden: Tensor, spans: tuple[Span], slots: tuple[Slots]) -> Tensor:
    """Return what a layer makes of ``hidden`` (1, 1, dim)."""
    result: Any = layer(hidden, spans, slots)
    return result  # type: ignore[no-any-return]


class StaticStep:
    """Reads the token of ``place`` into a cache and returns the logits (1, 1, V) after it.

    Args:
        model: all it computes with, as it is now.
        cache: of one row, without padding or codes, no window of which has moved on.
        slots: how many of each layer are read; more than the position.
        place: what is read, and where it goes.
        call: how a layer is called.
    """

    def __init__(self, model: Mistral, cache: KVCache, slots: int, place: Place, call: CallLayer = call_layer) -> None:
        self._model = model
        self._place = place
        self._call = call
        self._caches = [Slots(layer, slots, place.position) for layer in cache.layers]
        self._windows = {layer.window for layer in cache.layers}
        self._cos, self._sin = model.rope.between(0, slots, model.device)
        self._slots = torch.arange(slots, device=model.device)

    def __call__(self) -> Tensor:
        """Compute; the same place again changes nothing."""
        hidden = self._model.model.embed_tokens(self._place.token)  # (1, 1, dim)
        spans = (self._span(hidden),)
        for layer, slots in zip(self._model.model.layers, self._caches, strict=True):
            hidden = self._call(layer, hidden, spans, (slots,))
        return self._model.logits(hidden)

    def _span(self, hidden: Tensor) -> Span:
        position, end = self._place.position, len(self._slots)
        masks = Masks(0, end, None, hidden)
        masks.update({window: self._mask(window, hidden) for window in self._windows})
        cos, sin = self._cos.index_select(0, position), self._sin.index_select(0, position)
        return Span(start=0, end=end, cos=cos, sin=sin, masks=masks)

    def _mask(self, window: int | None, like: Tensor) -> Tensor:
        """Return (1, slots): 0 where the token sees a slot, else -inf."""
        hidden = self._slots > self._place.position
        if window is not None:
            hidden |= self._slots <= self._place.position - window
        return like.new_zeros(1, len(self._slots)).masked_fill_(hidden, -torch.inf)
