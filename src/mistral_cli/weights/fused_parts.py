"""What a fused model computes with, part by part, on our own kernels. Knows modules and caches; changes no model.

Each function does what the model's own does, and hands over to it where it must: where gradients are wanted, the model
is traced or was moved away, or a layer is not the one that it knows. The model's own then compute in the model's dtype.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.modules import module as _every_module

from mistral_cli.kernels import attention as attention_kernel
from mistral_cli.kernels import elementwise, updates
from mistral_cli.kernels.attention import WIDEST, Held
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.packing import TYPES
from mistral_cli.kernels.products import multiply_joined
from mistral_cli.model import attention, layers
from mistral_cli.weights.adapters.linear import LoraLinear

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from mistral_cli.model.attention import Span
    from mistral_cli.model.cache import LayerCache
    from mistral_cli.model.transformer import Mistral


def project(model: Mistral, hidden: Tensor, *modules: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    """Do what ``layers.project`` does, packed layers in one call; others read the model's dtype, as if not fused.

    What adapters add comes on top of what the packed layers under them give.
    """
    bases = [under(module) for module in modules]
    packed = [base for base in bases if isinstance(base, PackedLinear)]
    if len(packed) < len(modules) or not reads(hidden):
        return layers.project(hidden.to(model.dtype), *modules)
    if not all(map(is_transparent, packed)):
        return layers.project(hidden, *modules)
    return _adapted(modules, multiply_joined(hidden, packed), hidden)


def _adapted(
    modules: Sequence[Callable[[Tensor], Tensor]], results: tuple[Tensor, ...], hidden: Tensor
) -> tuple[Tensor, ...]:
    """Add what the adapters of each of ``modules`` make of ``hidden`` (B, …, inputs); rows stay independent."""
    adapted = [(module, out) for module, out in zip(modules, results, strict=True) if isinstance(module, LoraLinear)]
    if not adapted:
        return results
    own = [module.updates() for module, _ in adapted]
    if hidden.dtype == torch.float32 and all(updates.readable(update) for each in own for update in each):
        updates.add_([out for _, out in adapted], hidden, own)
        return results
    pairs = zip(modules, results, strict=True)
    return tuple(_added(module, out, hidden) if isinstance(module, LoraLinear) else out for module, out in pairs)


def _added(layer: LoraLinear, results: Tensor, hidden: Tensor) -> Tensor:
    """Add what the adapters of one layer make of ``hidden``, row by row."""
    each = zip(torch.split(results, 1), torch.split(hidden, 1), strict=True)
    return torch.cat([layer.added(result, row) for result, row in each])


def under(module: Callable[[Tensor], Tensor]) -> object:
    """Return the layer that adapters were put on, the module itself where there are none or somebody watches it."""
    return module.base if type(module) is LoraLinear and not is_watched(module) else module


def project_apart(model: Mistral, hidden: Tensor, *modules: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    """Do what ``project`` does; layers that are not packed see one row at a time, so that rows stay independent."""
    if len(hidden) == 1 or all(map(is_transparent, map(under, modules))):
        return project(model, hidden, *modules)
    each = [layers.project(row, *modules) for row in torch.split(hidden.to(model.dtype), 1)]
    return tuple(map(torch.cat, zip(*each, strict=True)))


def normalize(hidden: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Do what ``layers.normalize`` does; the result is float32."""
    if reads(hidden, weight) and weight.dtype in TYPES:
        return elementwise.norm(hidden, weight, eps)
    return layers.normalize(hidden, weight, eps)


def gate(gates: Tensor, branch: Tensor) -> Tensor:
    """Do what ``layers.gate`` does, on float32 in place of the gates."""
    if gates.dtype == branch.dtype == torch.float32 and gates.shape == branch.shape and reads(gates, branch):
        return elementwise.gate_(gates.contiguous(), branch.contiguous())
    return layers.gate(gates, branch)


def place(query: Tensor, key: Tensor, value: Tensor, spans: Sequence[Span], caches: Sequence[LayerCache]) -> Tensor:
    """Do what ``attention.place`` does; the result is float32."""
    if not reads(query) or query.shape[3] > WIDEST or any(span.masks.padding is not None for span in spans):
        return attention.place(query, key, value, spans, caches)
    rows, turned = len(query) // len(caches), []
    for row in range(len(query)):
        span, cache = spans[row // rows], caches[row // rows]
        cache.reserve(span.start, key.shape[2])
        states, angles = (query[row], key[row], value[row]), (span.cos, span.sin)
        turned.append(_place_row(states, angles, cache, row % rows, span.start - cache.first))
    return turned[0].unsqueeze(0) if len(turned) == 1 else torch.stack(turned)


def _place_row(
    states: tuple[Tensor, Tensor, Tensor], angles: tuple[Tensor, Tensor], cache: LayerCache, row: int, slot: int
) -> Tensor:
    if cache.scales is None:
        return elementwise.turn_and_write(states, angles, (cache.keys[row], cache.values[row]), slot)
    key = torch.empty_like(states[1], dtype=torch.float32)
    turned = elementwise.turn_and_write(states, angles, (key, torch.empty_like(key)), 0)
    span = slice(slot, slot + key.shape[1])
    for kept, codes, scales in zip((key, states[2]), (cache.keys, cache.values), cache.scales, strict=True):
        attention_kernel.keep(kept, codes[row, :, span], scales[row, :, span])
    return turned


def attend(query: Tensor, spans: Sequence[Span], caches: Sequence[LayerCache]) -> Tensor:
    """Do what ``attention.attend_to_caches`` does."""
    if not reads(query) or any(span.masks.padding is not None for span in spans):
        return attention.attend_to_caches(query.to(caches[0].dtype), spans, caches)
    held = [held_by(cache, span.start) for span, cache in zip(spans, caches, strict=True)]
    if not attention_kernel.readable(query, held):
        return attention.attend_to_caches(query.to(caches[0].dtype), spans, caches)
    return attention_kernel.attend(query, held, window=caches[0].window)


def held_by(cache: LayerCache, start: int) -> Held:
    """Return what a layer's cache holds, for queries from position ``start`` on."""
    return Held(keys=cache.keys, values=cache.values, scales=cache.scales, first=cache.first, start=start)


def reads(*tensors: Tensor) -> bool:
    """Return whether our functions can compute with these: no gradients, no tracing, the CPU and a dtype they know."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return False
    return elementwise.readable(tensors[0]) and not torch.compiler.is_compiling()


def is_transparent(module: object) -> bool:
    """Return whether calling ``module`` does no more than its product: nobody replaced it, and nobody watches it."""
    return type(module) is PackedLinear and not is_watched(module)


def is_watched(module: nn.Module) -> bool:
    """Return whether somebody has put a hook on ``module``, or on all there are, or another ``forward`` into it."""
    return are_watched() or bool(module._forward_hooks or module._forward_pre_hooks or "forward" in module.__dict__)


def are_watched() -> bool:
    """Return whether somebody has put a hook on all modules there are."""
    return bool(_every_module._global_forward_hooks or _every_module._global_forward_pre_hooks)
