"""A layer as the library was told of it, and whether it still is that. Knows modules; computes nothing.

A layer is told of as long as it is what was built, and what adapters made of it: no other module in it, none watched by
a hook.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import getitem, itemgetter
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mistral_cli.kernels import layers as layers_kernel
from mistral_cli.kernels import updates
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.packing import TYPES
from mistral_cli.model.attention import Attention
from mistral_cli.model.layers import FeedForward, RMSNorm
from mistral_cli.model.transformer import DecoderLayer
from mistral_cli.weights.adapters.linear import LoraLinear
from mistral_cli.weights.fused_parts import are_watched, is_watched, under

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

    from torch import nn

    from mistral_cli.kernels.updates import Update
    from mistral_cli.weights.adapters.pairs import LoraPair

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
class Parts:
    """The modules of a layer that is to be told of."""

    tree: Sequence[tuple[dict[str, Any], str]]
    """Where each module in the layer hangs: the children of that above it, and its name there."""
    linears: Sequence[PackedLinear]
    loras: Sequence[LoraLinear | None]
    """What stands in the place of each of ``linears``, with adapters; None where it stands there itself."""
    norms: Sequence[RMSNorm]

    @classmethod
    def of(cls, layer: nn.Module) -> Parts | None:
        """Return the parts of a layer; None where one module in it is not as it was built, or is watched."""
        if type(layer) is not DecoderLayer:
            return None
        own = layer._modules
        attention, feed_forward = own["self_attn"], own.get("mlp")
        if type(attention) is not Attention or type(feed_forward) is not FeedForward:
            return None
        owners = [(own[block]._modules, name) for block, name in _LINEARS]  # type: ignore[union-attr]
        found: list[Any] = [owner[name] for owner, name in owners]
        linears: list[Any] = list(map(under, found))
        norms: list[Any] = [own[name] for name in _NORMS]
        if any(type(linear) is not PackedLinear for linear in linears):
            return None
        if any(type(norm) is not RMSNorm for norm in norms):
            return None
        if any(is_watched(module) for module in (layer, attention, feed_forward, *linears, *norms)):
            return None
        loras = [module if type(module) is LoraLinear else None for module in found]
        tree = [(own, "self_attn"), (own, "mlp"), *owners, *((own, name) for name in _NORMS)]
        tree += [(lora._modules, "base") for lora in loras if lora is not None]
        return cls(tree=tree, linears=linears, loras=loras, norms=norms)

    def updates(self) -> list[list[Update]]:
        """Return what adapters add to each linear layer."""
        return [[] if lora is None else lora.updates() for lora in self.loras]

    def are_readable(self, shapes: Sequence[tuple[int, int]]) -> bool:
        """Return whether the library can read them: all on the CPU, in order, of ``shapes`` (outputs, inputs)."""
        tensors = [tensor for linear in self.linears for tensor in linear.packed.tensors]
        tensors += [norm.weight for norm in self.norms]
        return (
            all(tensor.device.type == "cpu" and tensor.is_contiguous() for tensor in tensors)
            and all(norm.weight.dtype in TYPES for norm in self.norms)
            and [(linear.out_features, linear.in_features) for linear in self.linears] == shapes
            and all(_fits(update, shape) for own, shape in zip(self.updates(), shapes, strict=True) for update in own)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A layer as the library reads it, and all by which one can see that it still is what that was made from.

    Looked through at each step with nothing of these modules in the processor's caches, so it goes from dictionary to
    dictionary and asks no module for an attribute.
    """

    words: bytes
    added: tuple[array[int], ...]
    """What ``words`` points to: the updates of each linear layer."""
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
    linears: tuple[dict[str, Any], ...]
    """The attributes of each linear layer, and ``forms`` how it computes; ``eps`` is what the ``norms`` add."""
    forms: tuple[tuple[object, ...], ...]
    norms: tuple[dict[str, Any], ...]
    eps: tuple[float, ...]
    pairs: tuple[dict[str, LoraPair], ...]
    """Of each layer with adapters their matrices, the ``put`` ones, and ``strengths``, the ``weighed`` ones."""
    put: tuple[tuple[LoraPair, ...], ...]
    strengths: tuple[dict[str, float], ...]
    weighed: tuple[tuple[float, ...], ...]
    matrices: tuple[Tensor, ...]
    """Those of the adapters, and ``places`` where they were."""
    places: tuple[int, ...]

    @classmethod
    def of(cls, layer: nn.Module, parts: Parts, window: int | None) -> Known:
        """Return what is to be seen of ``layer``, which has these ``parts``, and attends to the last ``window``."""
        all_updates = parts.updates()
        added = tuple(map(updates.pack, all_updates))
        norms = [(norm.weight, norm.eps) for norm in parts.norms]
        modules = tuple(owner[name] for owner, name in parts.tree)
        held: list[tuple[dict[str, Any], str]] = []
        held += [
            (linear._buffers, key)
            for linear in parts.linears
            for key in ("nibbles", "scales", "nested")
            if linear._buffers[key] is not None
        ]
        held += [(norm._parameters, "weight") for norm in parts.norms]
        states = [module.__dict__ for module in (layer, *modules)]
        loras = [lora for lora in parts.loras if lora is not None]
        matrices = tuple(matrix for own in all_updates for update in own for matrix in (update.down, update.up))
        return cls(
            words=layers_kernel.pack_layer(parts.linears, added, norms, window),
            added=added,
            layer=layer,
            owners=tuple(owner for owner, _ in parts.tree),
            names=tuple(name for _, name in parts.tree),
            modules=modules,
            types=tuple(map(type, modules)),
            states=tuple(states),
            sizes=tuple(map(len, states)),
            hooks=tuple(state[name] for state in states for name in ("_forward_hooks", "_forward_pre_hooks")),
            stores=tuple(store for store, _ in held),
            keys=tuple(key for _, key in held),
            addresses=tuple(store[key].data_ptr() for store, key in held),
            linears=tuple(linear.__dict__ for linear in parts.linears),
            forms=tuple(_FORM(linear.__dict__) for linear in parts.linears),
            norms=tuple(norm.__dict__ for norm in parts.norms),
            eps=tuple(norm.__dict__["eps"] for norm in parts.norms),
            pairs=tuple(lora.pairs for lora in loras),
            put=tuple(tuple(lora.pairs.values()) for lora in loras),
            strengths=tuple(lora.strengths for lora in loras),
            weighed=tuple(tuple(lora.strengths.values()) for lora in loras),
            matrices=matrices,
            places=tuple(map(Tensor.data_ptr, matrices)),
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
            and tuple(map(_FORM, self.linears)) == self.forms
            and tuple(map(_EPS, self.norms)) == self.eps
            and (not self.pairs or self._has_its_adapters())
        )

    def _has_its_adapters(self) -> bool:
        return (
            tuple(map(tuple, map(dict.values, self.pairs))) == self.put
            and tuple(map(tuple, map(dict.values, self.strengths))) == self.weighed
            and tuple(map(Tensor.data_ptr, self.matrices)) == self.places
        )


def _fits(update: Update, shape: tuple[int, int]) -> bool:
    """Return whether the library can add ``update`` to a product of ``shape`` (outputs, inputs)."""
    return updates.readable(update) and (update.up.shape[0], update.down.shape[1]) == shape
