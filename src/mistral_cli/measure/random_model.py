"""Checkpoints of random weights: the shape and the files of a real model, none of its sense.

Speed and memory do not depend on the values, so whoever has no weights can still measure. Tensor by tensor, so that a
model of any size needs the memory of its largest tensor. Knows no tokenizer but the name of one that fits in size.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from mistral_cli.errors import UsageError
from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.model.transformer import INITIAL_RANGE, draw
from mistral_cli.weights.formats import mistral_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

Layout = Literal["huggingface", "mistral"]
"""Whose files: ``config.json`` and safetensors in shards, or ``params.json`` and ``consolidated.safetensors``."""

SHAPES: Mapping[str, Callable[[], ModelArgs]] = {
    "tiny": lambda: ModelArgs(
        dim=128, n_layers=4, head_dim=32, hidden_dim=384, n_heads=4, n_kv_heads=2, vocab_size=32768, sliding_window=None
    ),
    "mixtral-small": lambda: ModelArgs(
        dim=512, n_layers=4, head_dim=64, hidden_dim=1024, n_heads=8, n_kv_heads=2, sliding_window=None, moe=MoeArgs()
    ),
    "7b": ModelArgs.mistral_7b_v03,
    "7b-v0.1": ModelArgs.mistral_7b,
    "ministral-8b": ModelArgs.ministral_8b,
    "nemo-12b": ModelArgs.nemo_12b,
    "small-24b": ModelArgs.small_24b,
    "mixtral-8x7b": ModelArgs.mixtral_8x7b,
}
"""Name -> shape."""

TOKENIZERS = {32000: "v1", 32768: "v3", 131072: "v3-tekken"}
"""Size of the vocabulary -> the official tokenizer that goes with it, as ``mistral_cli_tokenizer`` names it."""

_DTYPES = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32", torch.float64: "F64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomModel:
    """What to write. The same seed gives the same weights in both layouts, and those of ``Mistral(args, generator)``.

    Raises:
        UsageError: a dtype that weights are not stored in.
    """

    args: ModelArgs
    seed: int = 0
    dtype: torch.dtype = torch.bfloat16
    layout: Layout = "huggingface"
    shard_bytes: int = 4 * 10**9
    """Bytes of one Hugging Face shard at most, unless one tensor has more."""
    tokenizer: bool = False
    """Whether the Hugging Face config names the tokenizer of ``TOKENIZERS``, so that text can go in."""

    def __post_init__(self) -> None:
        """Check the dtype."""
        if self.dtype not in _DTYPES:
            known = ", ".join(_name(dtype) for dtype in _DTYPES)
            raise UsageError(f"Weights are not stored as {_name(self.dtype)}, but as one of {known}.")


def shape_named(name: str) -> ModelArgs:
    """Return the shape of that name.

    Raises:
        UsageError: no such name; the message holds all there are.
    """
    if name not in SHAPES:
        raise UsageError(f"There is no shape {name!r:.40}; there are {', '.join(SHAPES)}.")
    return SHAPES[name]()


def write_random_model(folder: Path, model: RandomModel) -> None:
    """Write config and weights of ``model`` into ``folder``, which is made; files of the same names are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = _shards(model)
    weights = _weights(model)
    for file, shapes in shards.items():
        _write_shard(folder / file, shapes, model, weights)
    if model.layout == "mistral":
        _write_json(folder / "params.json", _mistral_config(model))
        return
    _write_json(folder / "config.json", _huggingface_config(model))
    if len(shards) > 1:
        places = {name: file for file, shapes in shards.items() for name in shapes}
        size = {"total_size": model.args.parameters * model.dtype.itemsize}
        _write_json(folder / "model.safetensors.index.json", {"metadata": size, "weight_map": places})


def _shards(model: RandomModel) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return file -> our names and shapes of its tensors, in order."""
    shapes = model.args.tensor_shapes()
    if model.layout == "mistral":
        return {"consolidated.safetensors": shapes}
    groups: list[dict[str, tuple[int, ...]]] = [{}]
    room = model.shard_bytes
    for name, shape in shapes.items():
        nbytes = math.prod(shape) * model.dtype.itemsize
        if groups[-1] and nbytes > room:
            groups.append({})
            room = model.shard_bytes
        groups[-1][name] = shape
        room -= nbytes
    if len(groups) == 1:
        return {"model.safetensors": groups[0]}
    return {f"model-{i:05}-of-{len(groups):05}.safetensors": group for i, group in enumerate(groups, 1)}


def _weights(model: RandomModel) -> Iterator[Tensor]:
    """Yield every tensor, as the layout wants it."""
    generator = torch.Generator().manual_seed(model.seed)
    heads = {"q_proj": model.args.n_heads, "k_proj": model.args.n_kv_heads}
    for name, shape in model.args.tensor_shapes().items():
        weight = torch.empty(shape, dtype=model.dtype)
        draw(weight, generator)
        part = name.split(".")[-2]
        yield _interleaved(weight, heads[part]) if model.layout == "mistral" and part in heads else weight


def _interleaved(weight: Tensor, heads: int) -> Tensor:
    """Put rows from Hugging Face's rotary order (x0 x1 … y0 y1 …, head by head) into Mistral's (x0 y0 x1 y1 …)."""
    halves = weight.view(heads, 2, -1, weight.shape[-1])  # (H, 2, D/2, dim)
    return halves.transpose(1, 2).reshape(weight.shape)


def _write_shard(
    file: Path, shapes: Mapping[str, tuple[int, ...]], model: RandomModel, weights: Iterator[Tensor]
) -> None:
    """Write one safetensors file: the header's length, the header, the bytes (huggingface.co/docs/safetensors)."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * model.dtype.itemsize
        label = mistral_name(name) if model.layout == "mistral" else name
        header[label] = {"dtype": _DTYPES[model.dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that tensors are aligned in the mapped file
    with file.open("wb") as opened:
        opened.write(len(text).to_bytes(8, "little") + text)
        for _, weight in zip(shapes, weights, strict=False):  # shapes first: when they end, no weight is lost
            opened.write(weight.view(torch.uint8).numpy().data)


def _huggingface_config(model: RandomModel) -> dict[str, object]:
    args = model.args
    config = _kind(args) | {
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
        "tie_word_embeddings": args.tie_word_embeddings,
        "hidden_act": "silu",
        "attention_dropout": 0.0,
        "initializer_range": INITIAL_RANGE,
        "torch_dtype": _name(model.dtype),
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if model.tokenizer:
        config["mistral_cli_tokenizer"] = TOKENIZERS[args.vocab_size]
    if args.moe is not None:
        config["num_local_experts"] = args.moe.num_experts
        config["num_experts_per_tok"] = args.moe.num_experts_per_tok
    return config


def _kind(args: ModelArgs) -> dict[str, object]:
    """Return what transformers calls the architecture, and the windows in its words.

    Raises:
        UsageError: layers with different windows, which transformers has no words for.
    """
    if isinstance(args.sliding_window, tuple):
        widths = {window for window in args.sliding_window if window is not None}
        if len(widths) > 1:
            raise UsageError(f"Hugging Face's config holds one window, not {sorted(widths)}; use Mistral's layout.")
        types = ["full_attention" if window is None else "sliding_attention" for window in args.sliding_window]
        kind = {"architectures": ["MinistralForCausalLM"], "model_type": "ministral", "layer_types": types}
        return {**kind, "sliding_window": next(iter(widths), None)}
    name = "mistral" if args.moe is None else "mixtral"
    return {
        "architectures": [f"{name.capitalize()}ForCausalLM"],
        "model_type": name,
        "sliding_window": args.sliding_window,
    }


def _mistral_config(model: RandomModel) -> dict[str, object]:
    args = model.args
    names = ("dim", "n_layers", "head_dim", "hidden_dim", "n_heads", "n_kv_heads", "norm_eps", "vocab_size")
    config: dict[str, object] = {name: getattr(args, name) for name in names}
    config |= {"rope_theta": args.rope_theta, "max_position_embeddings": args.max_position_embeddings}
    if args.sliding_window is not None:
        config["sliding_window"] = args.sliding_window
    if args.tie_word_embeddings:
        config["tied_embeddings"] = True
    if args.moe is not None:
        experts = {"num_experts": args.moe.num_experts, "num_experts_per_tok": args.moe.num_experts_per_tok}
        config["moe"] = experts
    return config


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _write_json(file: Path, content: Mapping[str, object]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
