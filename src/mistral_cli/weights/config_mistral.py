"""Mistral's own ``params.json``. Knows no other format, no weights and no torch.

Meaning of keys and of those left out: mistral-inference, ``args.py``, ``cache.py`` and ``transformer.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.model.args import ModelArgs, MoeArgs

if TYPE_CHECKING:
    from mistral_cli.weights.config_fields import ConfigFields

_POSITION_KEYS = ("max_position_embeddings", "max_seq_len")
_WINDOW_KEYS = ("sliding_window", "_sliding_window")
_KNOWN = {
    *("dim", "n_layers", "head_dim", "hidden_dim", "n_heads", "n_kv_heads", "vocab_size", "norm_eps", "rope_theta"),
    *("tied_embeddings", "moe", "model_type", "activation", "dtype", "max_batch_size"),
    *_POSITION_KEYS,
    *_WINDOW_KEYS,
}
"""Keys that are read, or that say nothing about the arithmetic. Any other may change it, and is refused."""

_POSITIONS = 32768
"""What 7B v0.1 to v0.3 and Mixtral-8x7B had, whose files do not say it. A limit, no part of the arithmetic."""


def mistral_args(fields: ConfigFields) -> ModelArgs:
    """Return the shape that a ``params.json`` gives.

    Raises:
        CheckpointError: a key missing, wrong, or unknown and set to something.
    """
    _refuse_others(fields)
    window = _window(fields)
    return ModelArgs(
        dim=fields.whole("dim"),
        n_layers=fields.whole("n_layers"),
        head_dim=fields.whole("head_dim"),
        hidden_dim=fields.whole("hidden_dim"),
        n_heads=fields.whole("n_heads"),
        n_kv_heads=fields.whole("n_kv_heads"),
        norm_eps=fields.number("norm_eps"),
        vocab_size=fields.whole("vocab_size"),
        rope_theta=_rope_theta(fields, has_window=window is not None),
        max_position_embeddings=_positions(fields),
        sliding_window=window,
        tie_word_embeddings=fields.flag("tied_embeddings"),
        moe=_moe(fields),
    )


def _refuse_others(fields: ConfigFields) -> None:
    for key, value in fields.values.items():
        if key not in _KNOWN and value not in (None, False, {}, []):
            raise fields.refused(f"sets {key!r:.60}, which is no part of a plain Mistral or Mixtral model")
    kind, activation = fields.word("model_type"), fields.word("activation")
    if kind not in (None, "transformer"):
        raise fields.refused(f"describes a model of type {kind!r:.60}, but only transformers can be read")
    if activation not in (None, "silu"):
        raise fields.refused(f"has the activation {activation!r:.60}, but only silu can be computed")


def _window(fields: ConfigFields) -> int | tuple[int | None, ...] | None:
    """Read one window for all layers, or a list that repeats over them (``get_cache_sizes`` in ``cache.py``)."""
    spellings = [value for key in _WINDOW_KEYS if (value := fields.get(key)) is not None]
    if not spellings:
        return None
    if len(spellings) == 2 and spellings[0] != spellings[1]:
        raise fields.senseless("sliding_window and _sliding_window contradict each other")
    layers = fields.whole("n_layers")
    listed = spellings[0] if isinstance(spellings[0], list) else [spellings[0]]
    pattern = tuple(_one_window(fields, item) for item in listed)
    if not pattern or layers % len(pattern):
        raise fields.senseless(f"sliding_window lists {len(pattern)} layers, which do not repeat evenly over {layers}")
    return pattern[0] if len(set(pattern)) == 1 else pattern * (layers // len(pattern))


def _one_window(fields: ConfigFields, value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise fields.wrong("sliding_window", "a whole number of 1 or more, a list of them, or null")


def _rope_theta(fields: ConfigFields, *, has_window: bool) -> float:
    """Return the rotary base. Left out, it is 10^6; with a window the program's versions differ (10^4 in the first)."""
    if fields.get("rope_theta") is not None:
        return fields.number("rope_theta")
    if has_window:
        raise fields.missing("rope_theta", " (with a sliding window it may be 10,000 or 1,000,000)")
    return 1e6


def _positions(fields: ConfigFields) -> int:
    return next((fields.whole(key) for key in _POSITION_KEYS if fields.get(key) is not None), _POSITIONS)


def _moe(fields: ConfigFields) -> MoeArgs | None:
    section = fields.section("moe")
    if section is None:
        return None
    for key, value in section.values.items():
        if key not in ("num_experts", "num_experts_per_tok") and value not in (None, False):
            raise fields.refused(f"sets {key!r:.60} for its experts, which Mixtral does not have")
    return MoeArgs(num_experts=section.whole("num_experts"), num_experts_per_tok=section.whole("num_experts_per_tok"))
