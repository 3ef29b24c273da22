"""The small files of a quantized folder: its config, and which files of the model go with it. Knows no weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mistral_cli.weights.config_huggingface import CLASSES
from mistral_cli.weights.json_file import read_object

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs

TOKENIZER = "mistral_cli_tokenizer"
"""The key of a config that names an official tokenizer which is not in its folder."""

_COPIED = ("tokenizer", "tekken.json", "special_tokens_map.json", "added_tokens.json", "chat_template", "LICENSE")
"""How the names of files begin that are copied."""
_ALSO = ("generation_config.json", "vocab.json", "merges.txt")

_FOUR_BITS = {
    "load_in_4bit": True,
    "load_in_8bit": False,
    "bnb_4bit_compute_dtype": "bfloat16",
    "bnb_4bit_quant_storage": "uint8",
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
}
_EIGHT_BITS = {
    "load_in_4bit": False,
    "load_in_8bit": True,
    "llm_int8_has_fp16_weight": False,
    "llm_int8_threshold": 6.0,
}


def is_copied(name: str) -> bool:
    """Tell whether a file of the model's folder goes with its quantized weights."""
    return name.startswith(_COPIED) or name in _ALSO


def exported_config(config: Path, args: ModelArgs, scheme: str, kept: list[str]) -> dict[str, Any]:
    """Return the ``config.json`` of a quantized folder, as transformers writes and reads it.

    Args:
        config: the model's own config, of either format.
        args: what it says.
        scheme: ``nf4`` or ``int8``.
        kept: linear layers that are not quantized.
    """
    quantization = {
        "quant_method": "bitsandbytes",
        **(_FOUR_BITS if scheme == "nf4" else _EIGHT_BITS),
        "llm_int8_skip_modules": kept,  # without this key transformers would take lm_head for one of them
    }
    return {**plain_config(config, args), "quantization_config": quantization}


def plain_config(config: Path, args: ModelArgs) -> dict[str, Any]:
    """Return the ``config.json`` of a folder that takes a model's place, as transformers writes and reads it.

    Args:
        config: the model's own config, of either format.
        args: what it says.
    """
    own = read_object(config)
    own.pop(TOKENIZER, None)  # the file that it names lies in the folder now
    return own if "model_type" in own or "architectures" in own else _from_args(args)


def _from_args(args: ModelArgs) -> dict[str, Any]:
    """Return a config for a model whose own is Mistral's ``params.json``."""
    windows = [args.window(layer) for layer in range(args.n_layers)]
    kind = "mixtral" if args.moe else "mistral" if len(set(windows)) == 1 else "ministral"
    values = {
        "architectures": [CLASSES[kind]],
        "model_type": kind,
        "hidden_act": "silu",
        "hidden_size": args.dim,
        "intermediate_size": args.hidden_dim,
        "num_hidden_layers": args.n_layers,
        "num_attention_heads": args.n_heads,
        "num_key_value_heads": args.n_kv_heads,
        "head_dim": args.head_dim,
        "vocab_size": args.vocab_size,
        "rms_norm_eps": args.norm_eps,
        "rope_theta": args.rope_theta,
        "max_position_embeddings": args.max_position_embeddings,
        "sliding_window": next((window for window in windows if window), None),
        "tie_word_embeddings": args.tie_word_embeddings,
        "torch_dtype": "bfloat16",
    }
    if kind == "ministral":
        values["layer_types"] = ["sliding_attention" if window else "full_attention" for window in windows]
    if args.moe:
        values["num_local_experts"] = args.moe.num_experts
        values["num_experts_per_tok"] = args.moe.num_experts_per_tok
    return values
