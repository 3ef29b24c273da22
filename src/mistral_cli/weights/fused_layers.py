"""Whole layers of a fused model go to the library in one call. Knows modules and caches; computes nothing.

A layer goes as long as it is what was built, with adapters or without: else it is called as any module, and its
neighbours still go. What is handed over is looked up at each step (``known_layer``), so that nothing has to be told
when an adapter comes or goes, or weights move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mistral_cli.kernels import layers as layers_kernel
from mistral_cli.kernels.attention import TYPES as CACHE_TYPES
from mistral_cli.kernels.attention import WIDEST
from mistral_cli.kernels.layers import Row, Sizes
from mistral_cli.model import transformer
from mistral_cli.weights.fused_parts import held_by, reads
from mistral_cli.weights.known_layer import Known, Parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.model.attention import Span
    from mistral_cli.model.cache import KVCache
    from mistral_cli.model.transformer import OnLayer

FEW = 16
"""Rows and tokens up to which all layers go at once; with more, a caller may want to leave between two layers."""


class Stack:
    """Runs layers as ``transformer.run`` does, those that it knows in one call.

    Args:
        args: the model's shape.
    """

    def __init__(self, args: ModelArgs) -> None:
        self._windows = [args.window(layer) for layer in range(args.n_layers)]
        self._known: dict[int, Known] = {}
        self._shapes = _shapes(args)
        self._sizes = Sizes(
            dim=args.dim,
            hidden_dim=args.hidden_dim,
            heads=args.n_heads,
            kv_heads=args.n_kv_heads,
            head_dim=args.head_dim,
        )

    def __call__(
        self, layers: nn.ModuleList, hidden: Tensor, spans: Sequence[Span], caches: Sequence[KVCache], on_layer: OnLayer
    ) -> Tensor:
        """See ``transformer.run``."""
        if not self._fits(hidden, spans, caches):
            return transformer.run(layers, hidden, spans, caches, on_layer)
        rows = [Row(start=span.start, cos=span.cos, sin=span.sin) for span in spans]
        most = len(layers) if hidden.shape[0] * hidden.shape[1] <= FEW else 1
        index = 0
        while index < len(layers):
            words = self._known_from(layers, index, most)
            if on_layer is not None:
                on_layer()
            if words:
                hidden = self._together(index, words, hidden, rows, caches)
            else:
                hidden = layers[index](hidden, spans, [cache.layers[index] for cache in caches])
            index += len(words) or 1
        return hidden

    def _fits(self, hidden: Tensor, spans: Sequence[Span], caches: Sequence[KVCache]) -> bool:
        """Return whether the library can take these: one row a cache, no padding, no gradients."""
        return (
            not torch.is_grad_enabled()
            and reads(hidden)
            and self._sizes.head_dim <= WIDEST
            and len(spans) == len(hidden)
            and all(span.masks.padding is None for span in spans)
            and len({cache.layers[0].keys.dtype for cache in caches}) == 1
            and caches[0].layers[0].keys.dtype in CACHE_TYPES
        )

    def _known_from(self, layers: nn.ModuleList, index: int, most: int) -> list[bytes]:
        """Return the words of the layers from ``index`` on, up to the first that must be called by itself."""
        found: list[bytes] = []
        for number in range(index, min(index + most, len(layers))):
            words = self._words(layers[number], number)
            if words is None:
                break
            found.append(words)
        return found

    def _words(self, layer: nn.Module, number: int) -> bytes | None:
        """Return a layer as the library reads it, made anew where anything of it changed; None where it must not."""
        known = self._known.get(number)
        if known is not None and known.is_still(layer):
            return known.words
        self._known.pop(number, None)
        parts = Parts.of(layer)
        if parts is None or not parts.are_readable(self._shapes):
            return None
        self._known[number] = Known.of(layer, parts, self._windows[number])
        return self._known[number].words

    def _together(
        self,
        index: int,
        words: list[bytes],
        hidden: Tensor,
        rows: Sequence[Row],
        caches: Sequence[KVCache],
    ) -> Tensor:
        """Put ``hidden`` through the layers of ``words``, of which ``index`` is the first."""
        stream = hidden.to(torch.float32, copy=True).contiguous()
        held = []
        for number in range(index, index + len(words)):
            for row, cache in zip(rows, caches, strict=True):
                layer = cache.layers[number]
                layer.reserve(row.start, hidden.shape[1])
                held.append(held_by(layer, row.start))
        layers_kernel.run(words, stream, rows, held, self._sizes)
        return stream


def _shapes(args: ModelArgs) -> list[tuple[int, int]]:
    """Return the (outputs, inputs) of a layer's linear layers, in order: the library trusts that they fit together."""
    queries, keys = args.n_heads * args.head_dim, args.n_kv_heads * args.head_dim
    into, wide = ((queries, args.dim), (keys, args.dim), (keys, args.dim)), (args.hidden_dim, args.dim)
    return [*into, (args.dim, queries), wide, wide, wide[::-1]]
