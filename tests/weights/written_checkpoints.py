"""Tiny checkpoints written by hand, in every spelling that published files have.

The names and the rotary order of Mistral's own format are written out here a second time on purpose.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file

from mistral_cli.model.args import ModelArgs, MoeArgs

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

DENSE = ModelArgs(
    dim=32,
    n_layers=2,
    head_dim=12,
    hidden_dim=48,
    n_heads=4,
    n_kv_heads=2,
    vocab_size=64,
    rope_theta=1e6,
    max_position_embeddings=128,
    sliding_window=None,
)
SPARSE = ModelArgs(
    dim=32,
    n_layers=2,
    head_dim=8,
    hidden_dim=48,
    n_heads=4,
    n_kv_heads=2,
    vocab_size=64,
    rope_theta=1e6,
    max_position_embeddings=128,
    sliding_window=None,
    moe=MoeArgs(num_experts=4, num_experts_per_tok=2),
)


def draw_weights(args: ModelArgs, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Return random weights under Hugging Face's names, the same at every call."""
    generator = torch.Generator().manual_seed(7)
    return {
        name: torch.rand(shape, generator=generator, dtype=torch.float32).sub(0.5).to(dtype)
        for name, shape in args.tensor_shapes().items()
    }


def huggingface_config(args: ModelArgs) -> dict[str, object]:
    """Return what transformers 4 writes."""
    config: dict[str, object] = {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "hidden_size": args.dim,
        "num_hidden_layers": args.n_layers,
        "head_dim": args.head_dim,
        "intermediate_size": args.hidden_dim,
        "num_attention_heads": args.n_heads,
        "num_key_value_heads": args.n_kv_heads,
        "rms_norm_eps": args.norm_eps,
        "vocab_size": args.vocab_size,
        "rope_theta": args.rope_theta,
        "max_position_embeddings": args.max_position_embeddings,
        "sliding_window": args.sliding_window,
        "tie_word_embeddings": args.tie_word_embeddings,
        "hidden_act": "silu",
        "torch_dtype": "float32",
    }
    if args.moe is not None:
        config |= {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral"}
        config |= {"num_local_experts": args.moe.num_experts, "num_experts_per_tok": args.moe.num_experts_per_tok}
    return config


def mistral_config(args: ModelArgs) -> dict[str, object]:
    """Return what Mistral's own ``params.json`` holds."""
    names = (
        "dim",
        "n_layers",
        "head_dim",
        "hidden_dim",
        "n_heads",
        "n_kv_heads",
        "norm_eps",
        "vocab_size",
        "rope_theta",
    )
    config = {name: getattr(args, name) for name in names}
    if args.moe is not None:
        config["moe"] = {"num_experts": args.moe.num_experts, "num_experts_per_tok": args.moe.num_experts_per_tok}
    return config


def write_huggingface(folder: Path, args: ModelArgs, weights: dict[str, Tensor], *, shards: int = 1) -> Path:
    """Write a folder as transformers 4 does."""
    folder.mkdir(exist_ok=True, parents=True)
    write_json(folder / "config.json", huggingface_config(args))
    write_weights(folder, "model", weights, shards)
    return folder


def write_mistral(folder: Path, args: ModelArgs, weights: dict[str, Tensor], *, shards: int = 1) -> Path:
    """Write a folder in Mistral's own format from weights in Hugging Face's."""
    folder.mkdir(exist_ok=True, parents=True)
    write_json(folder / "params.json", mistral_config(args))
    theirs = {mistral_name(name): _mistral_order(name, weight, args) for name, weight in weights.items()}
    write_weights(folder, "consolidated", theirs, shards)
    return folder


def write_weights(folder: Path, stem: str, weights: dict[str, Tensor], shards: int = 1) -> None:
    """Write one safetensors file, or several and their index."""
    if shards == 1:
        save_file(weights, folder / f"{stem}.safetensors", metadata={"format": "pt"})
        return
    weight_map = {}
    for number in range(shards):
        file = f"{stem}-{number + 1:05}-of-{shards:05}.safetensors"
        part = dict(list(weights.items())[number::shards])
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    write_json(folder / f"{stem}.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})


def write_json(path: Path, value: object) -> Path:
    """Write ``value`` as JSON and return the path."""
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def mistral_name(name: str) -> str:
    whole = {"model.embed_tokens": "tok_embeddings", "model.norm": "norm", "lm_head": "output"}
    if (stem := name.removesuffix(".weight")) in whole:
        return f"{whole[stem]}.weight"
    parts = {"q_proj": "attention.wq", "k_proj": "attention.wk", "v_proj": "attention.wv", "o_proj": "attention.wo"}
    parts |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm"}
    parts |= {"gate_proj": "feed_forward.w1", "down_proj": "feed_forward.w2", "up_proj": "feed_forward.w3"}
    _, layers, number, *rest = stem.split(".")
    inside = parts.get(rest[-1]) or ".".join(["feed_forward", *rest[1:]])
    return f"{layers}.{number}.{inside}.weight"


def _mistral_order(name: str, weight: Tensor, args: ModelArgs) -> Tensor:
    """Interleave the two halves of each head's rows: row 2i was row i, row 2i + 1 was row i + D/2."""
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return weight
    half = args.head_dim // 2
    order = [
        start + i + part * half
        for start in range(0, len(weight), args.head_dim)
        for i in range(half)
        for part in (0, 1)
    ]
    return weight[order].contiguous()
