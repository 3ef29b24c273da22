"""Hugging Face's ``config.json``, as transformers 4 and 5 write it. Knows no other format, no weights and no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.weights.prequantized import own_scheme
from mistral_cli.weights.rope_settings import rope_theta

if TYPE_CHECKING:
    from mistral_cli.weights.config_fields import ConfigFields

CLASSES = {"mistral": "MistralForCausalLM", "ministral": "MinistralForCausalLM", "mixtral": "MixtralForCausalLM"}
"""``model_type`` -> the class of transformers that computes as we do. Ministral is Mistral with a window per layer."""

_BIASES = ("attention_bias", "mlp_bias", "qkv_bias", "use_bias", "bias")

_UNSAID_WINDOW = 4096
"""transformers' window where a Mistral config does not mention it."""


def huggingface_args(fields: ConfigFields) -> ModelArgs:
    """Return the shape that a ``config.json`` gives.

    Left out, these have one meaning: ``head_dim`` (width / heads), ``hidden_act`` (silu), ``tie_word_embeddings``
    (false in every version of these classes; were it wrong, the tensors would not fit).

    Raises:
        CheckpointError: a key missing, wrong or contradicted; a model that is not ours to compute.
    """
    kind = _kind(fields)
    _refuse_others(fields)
    return ModelArgs(
        dim=fields.whole("hidden_size"),
        n_layers=fields.whole("num_hidden_layers"),
        head_dim=_head_dim(fields),
        hidden_dim=fields.whole("intermediate_size"),
        n_heads=fields.whole("num_attention_heads"),
        n_kv_heads=_kv_heads(fields),
        norm_eps=fields.number("rms_norm_eps"),
        vocab_size=fields.whole("vocab_size"),
        rope_theta=rope_theta(fields),
        max_position_embeddings=fields.whole("max_position_embeddings"),
        sliding_window=_window(fields, kind),
        tie_word_embeddings=fields.flag("tie_word_embeddings"),
        moe=_moe(fields) if kind == "mixtral" else None,
    )


def _kind(fields: ConfigFields) -> str:
    """Return the ``model_type``, which must be one of ours and agree with ``architectures``."""
    named, architectures = fields.word("model_type"), fields.get("architectures")
    if architectures is not None and not isinstance(architectures, list):
        raise fields.wrong("architectures", "a list")
    architecture = architectures[0] if architectures else None
    kind = named or next((key for key, value in CLASSES.items() if value == architecture), None)
    if kind is None and architecture is None:
        raise fields.missing("model_type")
    if kind not in CLASSES or architecture not in (None, CLASSES[kind]):
        stranger = architecture if architecture not in (None, *CLASSES.values()) else kind
        raise fields.refused(
            f"describes the architecture {stranger!s:.60}, but only Mistral and Mixtral can be computed"
        )
    return kind


def _refuse_others(fields: ConfigFields) -> None:
    own_scheme(fields)
    activation = fields.word("hidden_act")
    if activation not in (None, "silu", "swish"):
        raise fields.refused(f"has the activation {activation!r:.60}, but only silu can be computed")
    for key in _BIASES:
        if fields.get(key) not in (None, False):
            raise fields.refused(f"sets {key}, but Mistral's layers have no biases")
    if fields.get("auto_map") is not None:
        raise fields.refused("wants code of its own to be run (auto_map), which is never done")


def _head_dim(fields: ConfigFields) -> int:
    if fields.get("head_dim") is not None:
        return fields.whole("head_dim")
    width, heads = fields.whole("hidden_size"), fields.whole("num_attention_heads")
    if width % heads:
        raise fields.missing("head_dim", f", and hidden_size {width} is no multiple of {heads} heads")
    return width // heads


def _kv_heads(fields: ConfigFields) -> int:
    """Return the key-value heads: null says as many as there are heads; absent, transformers would guess 8."""
    if "num_key_value_heads" in fields.values and fields.get("num_key_value_heads") is None:
        return fields.whole("num_attention_heads")
    return fields.whole("num_key_value_heads")


def _window(fields: ConfigFields, kind: str) -> int | tuple[int | None, ...] | None:
    window = None if fields.get("sliding_window") is None else fields.whole("sliding_window")
    positions = fields.whole("max_position_embeddings")
    if kind != "mixtral" and "sliding_window" not in fields.values and positions > _UNSAID_WINDOW:
        raise fields.missing("sliding_window", " (null for none)")
    types = fields.get("layer_types")
    return window if types is None else _window_per_layer(fields, types, window)


def _window_per_layer(fields: ConfigFields, types: object, window: int | None) -> int | tuple[int | None, ...] | None:
    """Follow ``layer_types`` on Mistral too, where transformers only warns that it would have meant Ministral."""
    if not isinstance(types, list) or len(types) != fields.whole("num_hidden_layers"):
        raise fields.senseless("layer_types does not name a type for each of num_hidden_layers")
    others = [kind for kind in types if kind not in ("full_attention", "sliding_attention")]
    if others:
        raise fields.refused(f"has layers of the type {others[0]!r:.60}, which cannot be computed")
    if window is None and "sliding_attention" in types:
        raise fields.senseless("layer_types has sliding_attention, but there is no sliding_window")
    windows = tuple(window if kind == "sliding_attention" else None for kind in types)
    return windows[0] if len(set(windows)) == 1 else windows


def _moe(fields: ConfigFields) -> MoeArgs:
    experts, active = fields.whole("num_local_experts"), fields.whole("num_experts_per_tok")
    return MoeArgs(num_experts=experts, num_experts_per_tok=active)
