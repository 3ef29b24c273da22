"""Whole layers of a fused model go to the library in one call. Knows modules and caches; computes nothing.

A layer goes as long as it is what was built: no module in it replaced, none watched by a hook. Else it is called as any
module, and its neighbours still go. What is handed over is looked up at each step, so that nothing has to be told when
an adapter comes or goes, or weights move.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import getitem, itemgetter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mistral_cli.kernels import layers as layers_kernel
from mistral_cli.kernels.attention import TYPES as CACHE_TYPES
from mistral_cli.kernels.attention import WIDEST
from mistral_cli.kernels.layers import Row, Sizes
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.packing import TYPES
from mistral_cli.model import transformer
from mistral_cli.model.attention import Attention
from mistral_cli.model.layers import FeedForward, RMSNorm
from mistral_cli.model.transformer import DecoderLayer
from mistral_cli.weights.fused_parts import are_watched, held_by, is_watched, reads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.model.attention import Span
    from mistral_cli.model.cache import KVCache
    from mistral_cli.model.transformer import OnLayer

FEW = 16
"""Rows and tokens up to which all layers go at once; with more, a caller may want to leave between two layers."""

_LINEARS = (
    ("self_attn", "q_proj"),
    ("self_attn", "k_proj"),
    ("self_attn", "v_proj"),
    ("self_attn", "o_proj"),
    ("mlp", "gate_proj"),
    ("mlp", "up_proj"),
    ("mlp", "down_proj"),
)
_FORM, _EPS = itemgetter("fine", "scheme", "out_features", "in_features"), itemgetter("eps")
_NORMS = ("input_layernorm", "post_attention_layernorm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A layer as the library reads it, and all by which one can see that it still is what that was made from.

    Looked through at each step with nothing of these modules in the processor's caches, so it goes from dictionary to
    dictionary and asks no module for an attribute.
    """

    words: bytes
    layer: nn.Module
    owners: tuple[dict[str, Any], ...]
    """Where the layer's modules hang: the children of those above them."""
    names: tuple[str, ...]
    modules: tuple[nn.Module, ...]
    types: tuple[type, ...]
    states: tuple[dict[str, Any], ...]
    """The attributes of the layer and its modules; whoever puts another ``forward`` into one makes it longer."""
    sizes: tuple[int, ...]
    hooks: tuple[dict[int, Any], ...]
    stores: tuple[dict[str, Any], ...]
    """Where the tensors hang, and ``keys`` their names there."""
    keys: tuple[str, ...]
    addresses: tuple[int, ...]
    forms: tuple[tuple[object, ...], ...]
    """How each linear layer computes; ``eps`` is what the norms add."""
    eps: tuple[float, ...]

    @classmethod
    def of(cls, layer: nn.Module, words: bytes) -> Known:
        """Return what is to be seen of a layer that ``_parts`` has found to be as it was built."""
        paths = [("self_attn",), ("mlp",), *_LINEARS, *((name,) for name in _NORMS)]
        owners = [layer.get_submodule(".".join(path[:-1]))._modules for path in paths]
        modules = [layer.get_submodule(".".join(path)) for path in paths]
        linears, norms = modules[2 : 2 + len(_LINEARS)], modules[2 + len(_LINEARS) :]
        held: list[tuple[dict[str, Any], str]] = []
        held += [
            (linear._buffers, key)
            for linear in linears
            for key in ("nibbles", "scales", "nested")
            if linear._buffers[key] is not None
        ]
        held += [(norm._parameters, "weight") for norm in norms]
        states = [module.__dict__ for module in (layer, *modules)]
        return cls(
            words=words,
            layer=layer,
            owners=tuple(owners),
            names=tuple(path[-1] for path in paths),
            modules=tuple(modules),
            types=tuple(map(type, modules)),
            states=tuple(states),
            sizes=tuple(map(len, states)),
            hooks=tuple(state[name] for state in states for name in ("_forward_hooks", "_forward_pre_hooks")),
            stores=tuple(store for store, _ in held),
            keys=tuple(key for _, key in held),
            addresses=tuple(store[key].data_ptr() for store, key in held),
            forms=tuple(_FORM(linear.__dict__) for linear in linears),
            eps=tuple(norm.__dict__["eps"] for norm in norms),
        )

    def is_still(self, layer: nn.Module) -> bool:
        """Return whether ``layer`` is this one, and nothing of it has changed."""
        return (
            layer is self.layer
            and type(layer) is DecoderLayer
            and tuple(map(getitem, self.owners, self.names)) == self.modules
            and tuple(map(type, self.modules)) == self.types
            and tuple(map(len, self.states)) == self.sizes
            and not any(self.hooks)
            and not are_watched()
            and tuple(map(Tensor.data_ptr, map(getitem, self.stores, self.keys))) == self.addresses
            and tuple(map(_FORM, self.states[3:-2])) == self.forms
            and tuple(map(_EPS, self.states[-2:])) == self.eps
        )


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
        parts = _parts(layer)
        if parts is None:
            return None
        linears, norms = parts
        tensors = [tensor for linear in linears for tensor in linear.packed.tensors]
        tensors += [norm.weight for norm in norms]
        if any(tensor.device.type != "cpu" or not tensor.is_contiguous() for tensor in tensors):
            return None
        if any(norm.weight.dtype not in TYPES for norm in norms):
            return None
        if [(linear.out_features, linear.in_features) for linear in linears] != self._shapes:
            return None
        pairs = [(norm.weight, norm.eps) for norm in norms]
        words = layers_kernel.pack_layer(linears, pairs, self._windows[number])
        self._known[number] = Known.of(layer, words)
        return words

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
    """Return the (outputs, inputs) of ``_LINEARS``: the library trusts that they fit together."""
    queries, keys = args.n_heads * args.head_dim, args.n_kv_heads * args.head_dim
    into, wide = ((queries, args.dim), (keys, args.dim), (keys, args.dim)), (args.hidden_dim, args.dim)
    return [*into, (args.dim, queries), wide, wide, wide[::-1]]


def _parts(layer: nn.Module) -> tuple[list[PackedLinear], list[RMSNorm]] | None:
    """Return the linear layers and the norms of a layer, None where one module in it is not as it was built."""
    if type(layer) is not DecoderLayer:
        return None
    own = layer._modules
    attention, feed_forward = own["self_attn"], own.get("mlp")
    if type(attention) is not Attention or type(feed_forward) is not FeedForward:
        return None
    linears: list[Any] = [own[block]._modules[name] for block, name in _LINEARS]  # type: ignore[union-attr]
    norms: list[Any] = [own[name] for name in _NORMS]
    if any(type(linear) is not PackedLinear for linear in linears):
        return None
    if any(type(norm) is not RMSNorm for norm in norms):
        return None
    if any(is_watched(module) for module in (layer, attention, feed_forward, *linears, *norms)):
        return None
    return linears, norms
