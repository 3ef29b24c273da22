"""Tiny shapes, and transformers' model with the same weights: what logits are compared with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from transformers import (
    MinistralConfig,
    MinistralForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
)

from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.model.transformer import Mistral

if TYPE_CHECKING:
    from torch import Tensor

PLAIN = ModelArgs(
    dim=64, n_layers=2, head_dim=16, hidden_dim=96, n_heads=4, n_kv_heads=2, vocab_size=101, sliding_window=None
)
SHAPES = {
    "mistral": PLAIN,
    "nemo-like": replace(PLAIN, dim=80, head_dim=24, rope_theta=1e6),
    "windowed": replace(PLAIN, sliding_window=7),
    "mixtral": replace(PLAIN, moe=MoeArgs(num_experts=4, num_experts_per_tok=2), rope_theta=1e6),
    "tied": replace(PLAIN, tie_word_embeddings=True),
}


def models(args: ModelArgs) -> tuple[Mistral, torch.nn.Module]:
    """Return our model and transformers', float64, of the same weights, large enough for every part to matter."""
    ours = Mistral(args, torch.Generator().manual_seed(1), dtype=torch.float64).eval()
    with torch.no_grad():
        for weight in ours.parameters():
            weight.mul_(15 if weight.dim() == 2 else 1)
            if weight.dim() == 1:
                weight.add_(torch.linspace(-0.5, 0.5, len(weight)))
    return ours, _transformers_model(args, ours.state_dict())


def tokens(rows: int = 2, length: int = 40, seed: int = 3) -> Tensor:
    """Return random ids (rows, length)."""
    return torch.randint(0, PLAIN.vocab_size, (rows, length), generator=torch.Generator().manual_seed(seed))


def in_pieces(model: Mistral, ids: Tensor, sizes: list[int]) -> Tensor:
    """Return the logits of ``ids``, read in pieces of ``sizes`` through one cache."""
    cache, logits = None, []
    for piece in ids.split(sizes, 1):
        out, cache = model(piece, cache)
        logits.append(out)
    return torch.cat(logits, 1)


def gap(left: Tensor, right: Tensor) -> float:
    """Return the largest difference."""
    return (left - right).abs().max().item()


def _transformers_model(args: ModelArgs, state: dict[str, Tensor]) -> torch.nn.Module:
    fields = {
        "hidden_size": args.dim,
        "num_hidden_layers": args.n_layers,
        "head_dim": args.head_dim,
        "intermediate_size": args.hidden_dim,
        "num_attention_heads": args.n_heads,
        "num_key_value_heads": args.n_kv_heads,
        "rms_norm_eps": args.norm_eps,
        "vocab_size": args.vocab_size,
        "rope_parameters": {"rope_type": "default", "rope_theta": args.rope_theta},
        "max_position_embeddings": args.max_position_embeddings,
        "sliding_window": args.sliding_window,
        "tie_word_embeddings": args.tie_word_embeddings,
        "attn_implementation": "sdpa",
    }
    if isinstance(args.sliding_window, tuple):
        width = next(window for window in args.sliding_window if window)
        kinds = ["sliding_attention" if window else "full_attention" for window in args.sliding_window]
        model = MinistralForCausalLM(MinistralConfig(**fields | {"sliding_window": width, "layer_types": kinds}))
    elif args.moe is None:
        model = MistralForCausalLM(MistralConfig(**fields))
    else:
        experts = {"num_local_experts": args.moe.num_experts, "num_experts_per_tok": args.moe.num_experts_per_tok}
        config = MixtralConfig(**fields, **experts)
        config._experts_implementation = "eager"  # the others have no float64
        model, state = MixtralForCausalLM(config), transformers_names(state)
    wanted = set(model.state_dict()) - ({"lm_head.weight"} if args.tie_word_embeddings else set())
    assert set(state) == wanted
    model.double().eval().load_state_dict(state, strict=False)
    return model


def transformers_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return Mixtral's weights as transformers 5 holds them in memory: all experts of a layer in two tensors."""
    fused = {name.replace("block_sparse_moe", "mlp"): w for name, w in state.items() if "experts" not in name}
    for name in [name for name in state if name.endswith("experts.0.w1.weight")]:
        layer = name.removesuffix(".0.w1.weight")
        count = sum(other.startswith(layer) for other in state) // 3
        w1, w2, w3 = (torch.stack([state[f"{layer}.{n}.{w}.weight"] for n in range(count)]) for w in ("w1", "w2", "w3"))
        target = layer.replace("block_sparse_moe", "mlp")
        fused |= {f"{target}.gate_up_proj": torch.cat((w1, w3), 1), f"{target}.down_proj": w2}
    return fused
