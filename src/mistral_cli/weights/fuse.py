"""A model on the CPU takes our own functions for what stands around its products. Knows modules; computes nothing.

The tree of modules stays as it is, and nothing has to be undone when an adapter is attached to one of them, or a hook:
what would pass it by steps aside by itself, see ``fused_parts`` and ``fused_layers``.

Between the products numbers are float32: rounding them to bfloat16 there costs accuracy and saves nothing.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from mistral_cli.kernels import library
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.packing import TYPES
from mistral_cli.model.attention import Attention
from mistral_cli.model.layers import FeedForward, RMSNorm
from mistral_cli.model.moe import Expert, SparseMoe
from mistral_cli.weights import fused_parts
from mistral_cli.weights.fused_layers import Stack

if TYPE_CHECKING:
    from mistral_cli.model.transformer import Mistral


FINE = ("v_proj", "o_proj", "lm_head")
"""How the names end of packed layers that compute with fine activations and levels.

Of a deep model's error these make most, as what they write is averaged over tokens or read as it is, and they are a
tenth of its weights.
"""
FINE_PART = 8
"""All packed layers compute finely in the first of this many parts of a model's depth.

What is off there, every layer above makes more of: with it the logits of a random model of 7B's shape and depth are
nearer to exact arithmetic than by products in bfloat16 (``tools/logit_error.py``).
"""
_LAYER = re.compile(r"\.layers\.([0-9]+)\.")


def fuse(model: Mistral) -> bool:
    """Put our functions into ``model`` and return whether it was done.

    It is left as it is where the library is not there, on another device, and in float16 and float64.
    """
    if library.unavailable() or model.device.type != "cpu" or model.dtype not in TYPES:
        return False
    project, apart = (partial(way, model) for way in (fused_parts.project, fused_parts.project_apart))
    refine(model)
    for module in model.modules():
        if isinstance(module, RMSNorm):
            module.compute = fused_parts.normalize
        elif isinstance(module, (FeedForward, Expert)):
            module.project, module.gate = project, fused_parts.gate
        elif isinstance(module, Attention):
            module.project, module.place, module.attend = project, fused_parts.place, fused_parts.attend
        elif isinstance(module, SparseMoe):
            module.project = apart
    model.project, model.run = apart, Stack(model.args)
    return True


def refine(model: Mistral) -> None:
    """Let those packed layers compute finely whose errors weigh most (``is_fine``), and the others coarsely."""
    for name, module in model.named_modules():
        if isinstance(module, PackedLinear):
            module.fine = is_fine(name, model.args.n_layers)


def is_fine(name: str, n_layers: int) -> bool:
    """Return whether the packed layer of that name computes finely in a model of so many layers."""
    layer = _LAYER.search(name)
    return name.endswith(FINE) or (layer is not None and int(layer[1]) * FINE_PART < n_layers)
