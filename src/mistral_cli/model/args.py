"""What a model's shape is: sizes, window, experts; what follows from them by counting. Knows no torch and no file."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mistral_cli.errors import CheckpointError

_LARGEST = {
    "dim": 2**17,
    "n_layers": 2**10,
    "head_dim": 2**12,
    "hidden_dim": 2**20,
    "n_heads": 2**12,
    "n_kv_heads": 2**12,
    "vocab_size": 2**22,
    "max_position_embeddings": 2**30,
    "num_experts": 2**12,
    "num_experts_per_tok": 2**12,
}
"""Whole numbers from 1 to this: several times what the largest published model has. More is a damaged config."""

_MOST_BLOCKS = 2**16
"""Feed-forward blocks of all layers, for layers and experts whose names alone would fill the memory."""

_LARGEST_MODEL = 10**13
"""Parameters, for sizes that are possible one by one and absurd together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoeArgs:
    """A sparse mixture of experts in place of the one feed-forward block.

    Raises:
        CheckpointError: sizes that no model can have.
    """

    num_experts: int = 8
    num_experts_per_tok: int = 2
    """How many experts, the router's likeliest, compute each token."""

    def __post_init__(self) -> None:
        """Check both numbers."""
        _check_sizes(self, ("num_experts", "num_experts_per_tok"))
        if self.num_experts_per_tok > self.num_experts:
            raise _wrong(f"num_experts_per_tok is {self.num_experts_per_tok} of only {self.num_experts} experts")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArgs:
    """The shape of a Mistral model, in the names of Mistral's own ``params.json``.

    A field that is not given has Mistral-7B-v0.1's value.

    Raises:
        CheckpointError: sizes that contradict each other or that no model can have; nothing was allocated.
    """

    dim: int = 4096
    """Width of the residual stream."""
    n_layers: int = 32
    head_dim: int = 128
    """Width of one attention head; not always ``dim / n_heads``."""
    hidden_dim: int = 14336
    """Width inside the feed-forward block, or inside one expert."""
    n_heads: int = 32
    """Query heads."""
    n_kv_heads: int = 8
    """Key and value heads, each shared by ``n_heads / n_kv_heads`` query heads."""
    norm_eps: float = 1e-5
    vocab_size: int = 32000
    rope_theta: float = 10000.0
    max_position_embeddings: int = 32768
    """Positions that the model was made for."""
    sliding_window: int | tuple[int | None, ...] | None = 4096
    """A token sees itself and the ``sliding_window - 1`` before it; None: all before it. A tuple: one per layer."""
    tie_word_embeddings: bool = False
    """Whether ``lm_head`` is the embedding's own matrix."""
    moe: MoeArgs | None = None

    def __post_init__(self) -> None:
        """Check every value, then what they make together."""
        _check_sizes(self, tuple(name for name in _LARGEST if not name.startswith("num_experts")))
        _check_numbers(self)
        _check_windows(self)
        if self.n_heads % self.n_kv_heads:
            raise _wrong(f"n_heads is {self.n_heads}, which is no multiple of n_kv_heads ({self.n_kv_heads})")
        if self.head_dim % 2:
            raise _wrong(f"head_dim is {self.head_dim}, but rotary embedding turns pairs and needs an even number")
        if self.n_layers * (self.moe.num_experts if self.moe else 1) > _MOST_BLOCKS:
            raise _wrong(f"{self.n_layers} layers of {self.moe.num_experts if self.moe else 1} experts are too many")
        if self.parameters > _LARGEST_MODEL:
            raise _wrong(f"its sizes make {self.parameters:,} parameters")

    @classmethod
    def mistral_7b(cls) -> ModelArgs:
        """Mistral-7B-v0.1 (base and Instruct): a window of 4,096."""
        return cls()

    @classmethod
    def mistral_7b_v03(cls) -> ModelArgs:
        """Mistral-7B-v0.3 (base and Instruct): no window, 768 more pieces. v0.2 differs by its 32,000 alone."""
        return cls(vocab_size=32768, rope_theta=1e6, sliding_window=None)

    @classmethod
    def nemo_12b(cls) -> ModelArgs:
        """Mistral-Nemo-2407: heads narrower than ``dim / n_heads``."""
        return cls(
            dim=5120,
            n_layers=40,
            vocab_size=131072,
            rope_theta=1e6,
            max_position_embeddings=131072,
            sliding_window=None,
        )

    @classmethod
    def ministral_8b(cls) -> ModelArgs:
        """Ministral-8B-2410: of four layers one sees all, three see 32,768 tokens (the model card's pattern)."""
        return cls(
            n_layers=36,
            hidden_dim=12288,
            vocab_size=131072,
            rope_theta=1e8,
            max_position_embeddings=131072,
            sliding_window=(None, 32768, 32768, 32768) * 9,
        )

    @classmethod
    def small_24b(cls) -> ModelArgs:
        """Mistral-Small-24B-2501."""
        return cls(
            dim=5120,
            n_layers=40,
            hidden_dim=32768,
            vocab_size=131072,
            rope_theta=1e8,
            sliding_window=None,
        )

    @classmethod
    def mixtral_8x7b(cls) -> ModelArgs:
        """Mixtral-8x7B-v0.1 (base and Instruct): two of eight experts for each token."""
        return cls(rope_theta=1e6, sliding_window=None, moe=MoeArgs())

    @property
    def parameters(self) -> int:
        """Numbers that are learned, tied embeddings counted once."""
        return sum(math.prod(shape) for shape in self.tensor_shapes().values())

    def window(self, layer: int) -> int | None:
        """Return the window of one layer; None where it sees everything before it."""
        return self.sliding_window[layer] if isinstance(self.sliding_window, tuple) else self.sliding_window

    def kv_bytes_per_token(self, dtype_bytes: int) -> int:
        """Return the bytes that keys and values of one token take in all layers, at ``dtype_bytes`` a number."""
        return 2 * self.n_layers * self.n_kv_heads * self.head_dim * dtype_bytes

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return every weight's name, as Hugging Face's files and our module tree have it, and its shape (out, in).

        In the order of the module tree.
        """
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab_size, self.dim)}
        layer = _layer_shapes(self)
        for index in range(self.n_layers):
            shapes |= {f"model.layers.{index}.{name}.weight": shape for name, shape in layer.items()}
        shapes["model.norm.weight"] = (self.dim,)
        if not self.tie_word_embeddings:
            shapes["lm_head.weight"] = (self.vocab_size, self.dim)
        return shapes


def _layer_shapes(args: ModelArgs) -> dict[str, tuple[int, ...]]:
    query_width, kv_width = args.n_heads * args.head_dim, args.n_kv_heads * args.head_dim
    return {
        "self_attn.q_proj": (query_width, args.dim),
        "self_attn.k_proj": (kv_width, args.dim),
        "self_attn.v_proj": (kv_width, args.dim),
        "self_attn.o_proj": (args.dim, query_width),
        **_feed_forward_shapes(args),
        "input_layernorm": (args.dim,),
        "post_attention_layernorm": (args.dim,),
    }


def _feed_forward_shapes(args: ModelArgs) -> dict[str, tuple[int, ...]]:
    wide, narrow = (args.hidden_dim, args.dim), (args.dim, args.hidden_dim)
    if args.moe is None:
        return {"mlp.gate_proj": wide, "mlp.up_proj": wide, "mlp.down_proj": narrow}
    shapes: dict[str, tuple[int, ...]] = {"block_sparse_moe.gate": (args.moe.num_experts, args.dim)}
    for expert in range(args.moe.num_experts):
        shapes |= {
            f"block_sparse_moe.experts.{expert}.{name}": shape
            for name, shape in (("w1", wide), ("w2", narrow), ("w3", wide))
        }
    return shapes


def _check_sizes(args: ModelArgs | MoeArgs, names: tuple[str, ...]) -> None:
    for name in names:
        value, largest = getattr(args, name), _LARGEST[name]
        if not _is_whole(value) or not 1 <= value <= largest:
            raise _wrong(f"{name} is {_shown(value)}, but must be a whole number from 1 to {largest:,}")


def _check_numbers(args: ModelArgs) -> None:
    if not _is_number(args.norm_eps) or not 0 < args.norm_eps < 1:
        raise _wrong(f"norm_eps is {_shown(args.norm_eps)}, but must be a number between 0 and 1")
    if not _is_number(args.rope_theta) or not 1 <= args.rope_theta < math.inf:
        raise _wrong(f"rope_theta is {_shown(args.rope_theta)}, but must be a number of 1 or more")
    if not isinstance(args.tie_word_embeddings, bool):
        raise _wrong(f"tie_word_embeddings is {_shown(args.tie_word_embeddings)}, but must be true or false")


def _check_windows(args: ModelArgs) -> None:
    per_layer = isinstance(args.sliding_window, tuple)
    windows = args.sliding_window if isinstance(args.sliding_window, tuple) else (args.sliding_window,)
    if per_layer and len(windows) != args.n_layers:
        raise _wrong(f"sliding_window lists {len(windows)} layers, but there are {args.n_layers}")
    for window in windows:
        if window is not None and (not _is_whole(window) or window < 1):
            raise _wrong(
                f"sliding_window is {_shown(window)}, but must be whole and 1 or more, none, or a tuple of these"
            )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    """Return ``value`` as one short line: it may be anything that a config file holds."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _wrong(what: str) -> CheckpointError:
    return CheckpointError(f"The model's config makes no sense: {what}.", "Fetch the model again, or mend its config.")
