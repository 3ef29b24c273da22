"""Models in four bits, as they are and fused: for the tests that compare the two."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from mistral_cli.kernels import packing
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.schemes import NF4
from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.model.transformer import Mistral
from mistral_cli.weights.fuse import fuse, refine

PLAIN = ModelArgs(
    dim=128, n_layers=3, head_dim=32, hidden_dim=192, n_heads=4, n_kv_heads=2, vocab_size=320, sliding_window=None
)
SHAPES = {
    "plain": PLAIN,
    "windowed": replace(PLAIN, sliding_window=(None, 7, None)),
    "tied": replace(PLAIN, tie_word_embeddings=True),
    "mixtral": replace(PLAIN, moe=MoeArgs(num_experts=4, num_experts_per_tok=2)),
}
TOKENS = torch.randint(0, 320, (1, 40), generator=torch.Generator().manual_seed(3))


def pair(args: ModelArgs = PLAIN, dtype: torch.dtype = torch.bfloat16, kv: str = "none") -> tuple[Mistral, Mistral]:
    """Return a model in four bits, and the same fused."""
    model = Mistral(args, torch.Generator().manual_seed(1), dtype=dtype).eval().requires_grad_(False)
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and module.out_features > 4:  # routers stay
            model.set_submodule(name, PackedLinear.from_packed(packing.quantize(module.weight * 6, NF4)))
    model.kv = kv
    refine(model)
    fused = copy.deepcopy(model)
    assert fuse(fused)
    return model, fused


def exact(args: ModelArgs = PLAIN, kv: str = "none") -> tuple[Mistral, Mistral]:
    """Return such a pair in float32 that computes finely all through.

    The two add in other orders, so that an activation now and then is rounded the other way. In a coarse one that is
    1/254, in a fine one 1/8190: ``test_fused_rounding`` shows that without it the two are alike to 2e-6.
    """
    models = pair(args, torch.float32, kv)
    for module in (module for model in models for module in model.modules()):
        if isinstance(module, PackedLinear):
            module.fine = True
    return models


def error(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())
