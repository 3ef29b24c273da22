"""Mistral and Mixtral: token ids in, logits out. Opens no file, draws no token, knows no text.

The tree of modules has the names of Hugging Face's files, so that a weight's name is its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from mistral_cli.model.attention import Attention, Masks, Span
from mistral_cli.model.cache import PLAIN, KVCache
from mistral_cli.model.layers import FeedForward, RMSNorm, project
from mistral_cli.model.moe import SparseMoe
from mistral_cli.model.rope import RotaryTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.model.cache import LayerCache
    from mistral_cli.model.layers import Project

    OnLayer = Callable[[], None] | None
    Run = Callable[[nn.ModuleList, Tensor, "Sequence[Span]", Sequence[KVCache], OnLayer], Tensor]

INITIAL_RANGE = 0.02
"""Weights that nobody loads are drawn uniformly between minus and plus this."""


class DecoderLayer(nn.Module):
    """Attention, then a feed-forward block or experts; each reads a norm of the stream and adds to it."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.self_attn = Attention(args)
        if args.moe is None:
            self.mlp = FeedForward(args.dim, args.hidden_dim)
        else:
            self.block_sparse_moe = SparseMoe(
                args.dim,
                args.hidden_dim,
                num_experts=args.moe.num_experts,
                per_token=args.moe.num_experts_per_tok,
            )
        self.input_layernorm = RMSNorm(args.dim, args.norm_eps)
        self.post_attention_layernorm = RMSNorm(args.dim, args.norm_eps)
        self._is_sparse = args.moe is not None

    def forward(self, hidden: Tensor, spans: Sequence[Span], caches: Sequence[LayerCache]) -> Tensor:
        """Map ``hidden`` (B, T, dim) to the same shape; spans and caches are those of ``Attention``."""
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), spans, caches)
        feed_forward = self.block_sparse_moe if self._is_sparse else self.mlp
        out: Tensor = hidden + feed_forward(self.post_attention_layernorm(hidden))
        return out


class Decoder(nn.Module):
    """Embedding, layers and the last norm: everything but the head."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        # nn.Embedding(V, dim) would draw on meta, and that imports torch's compiler: a second at every start
        empty = torch.empty(args.vocab_size, args.dim)
        self.embed_tokens: nn.Embedding = nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
            empty, freeze=False
        )
        self.layers = nn.ModuleList(DecoderLayer(args) for _ in range(args.n_layers))
        self.norm = RMSNorm(args.dim, args.norm_eps)


class Mistral(nn.Module):
    """A model of the Mistral family.

    Args:
        args: its shape.
        generator: where the weights are drawn from (uniformly in ±0.02, norms 1); torch's own if None.
        device: default: torch's; on ``meta`` nothing is drawn or allocated.
        dtype: default: torch's.
    """

    def __init__(
        self,
        args: ModelArgs,
        generator: torch.Generator | None = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        target = torch.get_default_device() if device is None else torch.device(device)
        self.args = args
        self.kv = PLAIN
        """How new caches hold keys and values, see ``model.cache.KINDS``."""
        self.rope = RotaryTable(args.head_dim, args.rope_theta)
        self.run: Run = run
        self.project: Project = project
        """How layers and head are computed; another way to compute the same may be set."""
        with torch.device("meta"):  # so that nothing is drawn twice
            self.model = Decoder(args)
            self.lm_head = None if args.tie_word_embeddings else nn.Linear(args.dim, args.vocab_size, bias=False)
        self.to(dtype or torch.get_default_dtype())
        if target.type != "meta":
            self.to_empty(device=target)
            for weight in self.parameters():
                draw(weight, generator)

    if TYPE_CHECKING:

        def __call__(
            self,
            tokens: Tensor,
            cache: KVCache | None = None,
            *,
            padding: Tensor | None = None,
            last_only: bool = False,
            on_layer: Callable[[], None] | None = None,
        ) -> tuple[Tensor, KVCache]:
            """See ``forward``."""
            ...

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the hidden states."""
        return self.model.embed_tokens.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where tokens go in."""
        return self.model.embed_tokens.weight.device

    def new_cache(self, batch_size: int = 1, *, capacity: int | None = None) -> KVCache:
        """Return an empty cache; its capacity is ``max_position_embeddings`` unless given."""
        capacity = self.args.max_position_embeddings if capacity is None else capacity
        return KVCache(
            self.args, batch_size=batch_size, capacity=capacity, dtype=self.dtype, device=self.device, kind=self.kv
        )

    def forward(
        self,
        tokens: Tensor,
        cache: KVCache | None = None,
        *,
        padding: Tensor | None = None,
        last_only: bool = False,
        on_layer: Callable[[], None] | None = None,
    ) -> tuple[Tensor, KVCache]:
        """Read ``tokens`` after those in the cache.

        Gradients reach every weight through the tokens of this call; what the cache held before is a constant.

        Args:
            tokens: (B, T) int64, T at least 1.
            cache: what an earlier call returned; None starts afresh. Written in place.
            padding: (B,) int64, how many tokens at the left of each row are padding. Given with the first tokens of a
                cache, which keeps it.
            last_only: compute the logits of the last position alone.
            on_layer: called before each layer; whatever it raises leaves the cache as it was.

        Returns:
            logits (B, T, V), or (B, 1, V) with ``last_only``, in float32 (float64 for a float64 model; those of padding
            mean nothing), and the cache.

        Raises:
            ContextError: more tokens than the cache's capacity.
            ValueError: tokens or padding of another shape than the cache's.
        """
        if cache is None:
            cache = self.new_cache(len(tokens), capacity=max(self.args.max_position_embeddings, tokens.shape[-1]))
        _check_shapes(tokens, padding, cache.batch_size)
        cache.check_room(tokens.shape[1])
        hidden = self.model.embed_tokens(tokens)  # (B, T, dim)
        padding = cache.padding if padding is None else padding.to(hidden.device)
        hidden = self.run(self.model.layers, hidden, (self._span(cache, hidden, padding),), (cache,), on_layer)
        cache.padding = padding
        cache.advance(tokens.shape[1])
        return self.logits(hidden[:, -1:] if last_only else hidden), cache

    def forward_rows(
        self, tokens: Tensor, caches: Sequence[KVCache], *, on_layer: Callable[[], None] | None = None
    ) -> Tensor:
        """Read the same number of tokens, usually one, into each of several caches of any lengths.

        The matrices are read once for all rows; what mixes positions sees one row and its cache at a time, so a row's
        logits are those that ``forward`` gives it alone, as far as the matrix products keep rows apart.

        Args:
            tokens: (B, T) int64, T at least 1.
            caches: B of them, each of one row and without padding. Written in place.
            on_layer: see ``forward``.

        Returns:
            the logits of each row's last position, (B, 1, V), as ``forward`` returns them.

        Raises:
            ContextError: more tokens than the capacity of one of the caches; none was changed.
            ValueError: tokens of another shape than the caches', or a cache with several rows or padding.
        """
        _check_shapes(tokens, None, len(caches))
        for cache in caches:
            if cache.batch_size != 1 or cache.padding is not None:
                raise ValueError("Rows are read into caches of one row each, without padding.")
            cache.check_room(tokens.shape[1])
        hidden = self.model.embed_tokens(tokens)  # (B, T, dim)
        spans = [self._span(cache, hidden, None) for cache in caches]
        hidden = self.run(self.model.layers, hidden, spans, caches, on_layer)
        for cache in caches:
            cache.advance(tokens.shape[1])
        return self.logits(hidden[:, -1:])

    def _span(self, cache: KVCache, hidden: Tensor, padding: Tensor | None) -> Span:
        start, end = cache.length, cache.length + hidden.shape[1]
        if padding is None:
            cos, sin = self.rope.between(start, end, hidden.device)
        else:
            slots = torch.arange(start, end, device=hidden.device)
            cos, sin = self.rope.at((slots - padding[:, None]).clamp(min=0), end)
        return Span(start=start, end=end, cos=cos, sin=sin, masks=Masks(start, end, padding, hidden))

    def logits(self, hidden: Tensor) -> Tensor:
        """Return what norm and head make of ``hidden`` (B, T, dim) behind the last layer, as ``forward`` returns it."""
        head = self._tied_head if self.lm_head is None else self.lm_head
        (logits,) = self.project(self.model.norm(hidden), head)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def _tied_head(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.model.embed_tokens.weight)


def run(
    layers: nn.ModuleList, hidden: Tensor, spans: Sequence[Span], caches: Sequence[KVCache], on_layer: OnLayer
) -> Tensor:
    """Put ``hidden`` (B, T, dim) through ``layers``; spans and caches are those of ``Attention``, of all layers."""
    layer_caches = zip(*(cache.layers for cache in caches), strict=True)
    for layer, own in zip(layers, layer_caches, strict=True):
        if on_layer is not None:
            on_layer()
        hidden = layer(hidden, spans, own)
    return hidden


@torch.no_grad()
def draw(weight: Tensor, generator: torch.Generator | None) -> None:
    """Fill one weight as a new model has it: a norm (one axis) with 1, any other uniformly in ±``INITIAL_RANGE``."""
    if weight.dim() == 1:
        weight.fill_(1)
    else:
        weight.uniform_(-INITIAL_RANGE, INITIAL_RANGE, generator=generator)


def _check_shapes(tokens: Tensor, padding: Tensor | None, batch_size: int) -> None:
    if tokens.dim() != 2 or len(tokens) != batch_size or tokens.shape[1] < 1:
        raise ValueError(f"Tokens of shape {tuple(tokens.shape)} where ({batch_size}, 1 or more) is wanted.")
    if padding is not None and padding.shape != (batch_size,):
        raise ValueError(f"Padding of shape {tuple(padding.shape)} where ({batch_size},) is wanted.")
