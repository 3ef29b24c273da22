"""A model on the CPU takes our own functions for what stands around its products. Knows modules; computes nothing.

The tree of modules stays as it is. Where a layer is not of the kind that can be computed together with its neighbours
(an adapter, a layer of another kind, one that somebody watches with a hook), or where gradients are wanted, the model's
own functions compute, in the model's dtype; nothing has to be undone when it goes.

Between the products numbers are float32: rounding them to bfloat16 there costs accuracy and saves nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from mistral_cli.kernels import elementwise, library
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.packing import TYPES
from mistral_cli.kernels.products import multiply_joined
from mistral_cli.model import attention, layers
from mistral_cli.model.attention import Attention
from mistral_cli.model.layers import FeedForward, RMSNorm
from mistral_cli.model.moe import Expert, SparseMoe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from mistral_cli.model.attention import Span
    from mistral_cli.model.cache import LayerCache
    from mistral_cli.model.transformer import Mistral


def fuse(model: Mistral) -> bool:
    """Put our functions into ``model`` and return whether it was done.

    It is left as it is where the library is not there, on another device, and in float16 and float64.
    """
    if library.unavailable() or model.device.type != "cpu" or model.dtype not in TYPES:
        return False
    together, apart = partial(project, model.dtype), partial(project_apart, model.dtype)
    for module in model.modules():
        if isinstance(module, RMSNorm):
            module.compute = normalize
        elif isinstance(module, (FeedForward, Expert)):
            module.project, module.gate = together, gate
        elif isinstance(module, Attention):
            module.project, module.place, module.attend = together, place, attend
        elif isinstance(module, SparseMoe):
            module.project = apart
    model.project = apart
    return True


def project(dtype: torch.dtype, hidden: Tensor, *modules: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    """Do what ``layers.project`` does, packed layers in one call; others read ``dtype``, as in a model not fused."""
    packed = [module for module in modules if isinstance(module, PackedLinear) and _is_transparent(module)]
    if len(packed) == len(modules) and _reads(hidden):
        return multiply_joined(hidden, packed)
    return layers.project(hidden.to(dtype), *modules)


def project_apart(dtype: torch.dtype, hidden: Tensor, *modules: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    """Do what ``project`` does; layers that are not packed see one row at a time, so that rows stay independent."""
    if len(hidden) == 1 or all(map(_is_transparent, modules)):
        return project(dtype, hidden, *modules)
    each = [layers.project(row, *modules) for row in torch.split(hidden.to(dtype), 1)]
    return tuple(map(torch.cat, zip(*each, strict=True)))


def normalize(hidden: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Do what ``layers.normalize`` does; the result is float32."""
    if _reads(hidden, weight) and weight.dtype in TYPES:
        return elementwise.norm(hidden, weight, eps)
    return layers.normalize(hidden, weight, eps)


def gate(gates: Tensor, branch: Tensor) -> Tensor:
    """Do what ``layers.gate`` does, on float32 in place of the gates."""
    if gates.dtype == branch.dtype == torch.float32 and _reads(gates, branch):
        return elementwise.gate_(gates.contiguous(), branch.contiguous())
    return layers.gate(gates, branch)


def place(query: Tensor, key: Tensor, value: Tensor, spans: Sequence[Span], caches: Sequence[LayerCache]) -> Tensor:
    """Do what ``attention.place`` does; the result is float32."""
    if not _reads(query) or any(span.cos.dim() > 2 or cache.scales for span, cache in zip(spans, caches, strict=True)):
        return attention.place(query, key, value, spans, caches)
    rows, turned = len(query) // len(caches), []
    for row in range(len(query)):
        span, cache = spans[row // rows], caches[row // rows]
        cache.reserve(span.start, key.shape[2])
        at, slot = row % rows, span.start - cache.first
        states, kept = (query[row], key[row], value[row]), (cache.keys[at], cache.values[at])
        turned.append(elementwise.turn_and_write(states, (span.cos, span.sin), kept, slot))
    return turned[0].unsqueeze(0) if len(turned) == 1 else torch.stack(turned)


def attend(query: Tensor, spans: Sequence[Span], caches: Sequence[LayerCache]) -> Tensor:
    """Do what ``attention.attend_to_caches`` does, in the dtype of the caches."""
    return attention.attend_to_caches(query.to(caches[0].dtype), spans, caches)


def _reads(*tensors: Tensor) -> bool:
    """Return whether our functions can compute with these: no gradients, no tracing, the CPU and a dtype they know."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return False
    return elementwise.readable(tensors[0]) and not torch.compiler.is_compiling()


def _is_transparent(module: object) -> bool:
    """Return whether calling ``module`` does no more than its product: nobody replaced it, and nobody watches it."""
    if type(module) is not PackedLinear:
        return False
    return not (module._forward_hooks or module._forward_pre_hooks or "forward" in module.__dict__)
