"""Grouped-query attention over a cache: who sees whom, and the products. Knows no tokens and no other layer.

Ainslie et al., "GQA" (arXiv:2305.13245); the window is Mistral 7B's (arXiv:2310.06825, section 2).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mistral_cli.model.layers import project
from mistral_cli.model.rope import rotate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.model.cache import LayerCache
    from mistral_cli.model.layers import Project

    Place = Callable[[Tensor, Tensor, Tensor, "Sequence[Span]", Sequence[LayerCache]], Tensor]
    Attend = Callable[[Tensor, "Sequence[Span]", Sequence[LayerCache]], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What all layers of one pass share: the positions ``start`` to ``end - 1`` that it computes."""

    start: int
    end: int
    cos: Tensor
    sin: Tensor
    masks: Masks


class Masks(dict[int | None, Tensor | None]):
    """Window -> what is added to the scores (see ``mask_for``), made when it is first asked for.

    Args:
        start: position of the first query.
        end: one past the last.
        padding: (B,) left padding of each row, or None.
        like: a tensor of the dtype and device wanted.
    """

    def __init__(self, start: int, end: int, padding: Tensor | None, like: Tensor) -> None:
        super().__init__()
        self.padding = padding
        self._make = functools.partial(mask_for, start, end, padding=padding, like=like.new_empty(0))

    def __missing__(self, window: int | None) -> Tensor | None:
        self[window] = self._make(window)
        return self[window]


class Attention(nn.Module):
    """Queries in ``n_heads``, keys and values in ``n_kv_heads``, each of ``head_dim``.

    ``project``, ``place`` and ``attend`` are what it computes with; another way to compute the same may be set.
    """

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.project: Project = project
        self.place: Place = place
        self.attend: Attend = attend_to_caches
        self.head_dim = args.head_dim
        self.q_proj = nn.Linear(args.dim, args.n_heads * args.head_dim, bias=False)
        self.k_proj = nn.Linear(args.dim, args.n_kv_heads * args.head_dim, bias=False)
        self.v_proj = nn.Linear(args.dim, args.n_kv_heads * args.head_dim, bias=False)
        self.o_proj = nn.Linear(args.n_heads * args.head_dim, args.dim, bias=False)

    def forward(self, hidden: Tensor, spans: Sequence[Span], caches: Sequence[LayerCache]) -> Tensor:
        """Map ``hidden`` (B, T, dim) to the same shape; its keys and values are written to ``caches``.

        Args:
            hidden: (B, T, dim).
            spans: one, or one for each row.
            caches: as many: one that holds all rows, or one for each row.
        """
        query, key, value = map(self._heads, self.project(hidden, self.q_proj, self.k_proj, self.v_proj))
        if query.requires_grad or key.requires_grad or value.requires_grad:
            heads = _attend_with_gradients(query, key, value, spans, caches)
        else:
            heads = self.attend(self.place(query, key, value, spans, caches), spans, caches)
        return self.project(heads.transpose(1, 2).flatten(2), self.o_proj)[0]

    def _heads(self, states: Tensor) -> Tensor:
        return states.view(*states.shape[:2], -1, self.head_dim).transpose(1, 2)  # (B, T, H*D) -> (B, H, T, D)


def place(query: Tensor, key: Tensor, value: Tensor, spans: Sequence[Span], caches: Sequence[LayerCache]) -> Tensor:
    """Turn queries and keys to their positions, write keys and values to the caches, and return the queries.

    Args:
        query: (B, H, T, D).
        key: (B, H_kv, T, D).
        value: as ``key``.
        spans: one, or one for each row.
        caches: as many: one that holds all rows, or one for each row.
    """
    turned = []
    for q, k, v, span, cache in _by_cache((query, key, value), spans, caches):
        turned.append(rotate(q, span.cos, span.sin))
        cache.write(span.start, rotate(k, span.cos, span.sin), v)
    return _joined(turned)


def attend_to_caches(query: Tensor, spans: Sequence[Span], caches: Sequence[LayerCache]) -> Tensor:
    """Return the values (B, H, T, D) that the queries, which are in their places, see in the caches."""
    heads = []
    for q, span, cache in _by_cache((query,), spans, caches):
        keys, values = cache.read(first_seen(span.start, cache.window), span.end)  # (B, H_kv, S, D)
        heads.append(attend(q, keys, values, span.masks[cache.window]))
    return _joined(heads)


def _attend_with_gradients(
    query: Tensor, key: Tensor, value: Tensor, spans: Sequence[Span], caches: Sequence[LayerCache]
) -> Tensor:
    """Do both: gradients flow through this pass's own tokens, and no graph may hold memory that is written again."""
    heads = []
    for q, k, v, span, cache in _by_cache((query, key, value), spans, caches):
        q, k = rotate(q, span.cos, span.sin), rotate(k, span.cos, span.sin)
        cache.write(span.start, k.detach(), v.detach())
        keys, values = cache.read(first_seen(span.start, cache.window), span.start)
        keys, values = torch.cat((keys, k), 2), torch.cat((values, v), 2)
        heads.append(attend(q, keys, values, span.masks[cache.window]))
    return _joined(heads)


def _by_cache(
    states: tuple[Tensor, ...], spans: Sequence[Span], caches: Sequence[LayerCache]
) -> Iterator[tuple[Any, ...]]:
    """Yield for each cache its rows of each of ``states``, its span and itself."""
    return zip(*(state.chunk(len(caches)) for state in states), spans, caches, strict=True)


def _joined(rows: list[Tensor]) -> Tensor:
    return rows[0] if len(rows) == 1 else torch.cat(rows)


def first_seen(start: int, window: int | None) -> int:
    """Return the first position that a token at ``start`` sees."""
    return 0 if window is None else max(0, start - window + 1)


def mask_for(start: int, end: int, window: int | None, padding: Tensor | None, like: Tensor) -> Tensor | None:
    """Return what is added to the scores of queries ``start`` to ``end - 1``: 0 where a key is seen, else -inf.

    The keys are those from ``first_seen(start, window)`` to ``end - 1``. A padded row sees itself, so that no row of
    scores is empty (its softmax would be NaN, and NaN times 0 is NaN).

    Args:
        start: position of the first query.
        end: one past the last.
        window: W, or None.
        padding: (B,) left padding of each row, or None.
        like: a tensor of the dtype and device wanted.

    Returns:
        (T, S), or (B, 1, T, S) with padding; None where a single query sees all, or plain causality is enough.
    """
    if padding is None and (end - start == 1 or (start == 0 and (window is None or window >= end))):
        return None
    queries = torch.arange(start, end, device=like.device)[:, None]  # (T, 1)
    keys = torch.arange(first_seen(start, window), end, device=like.device)  # (S,)
    seen = keys <= queries
    if window is not None:
        seen &= keys > queries - window
    if padding is not None:
        seen = seen & ((keys >= padding[:, None, None, None]) | (keys == queries))  # (B, 1, T, S)
    return torch.zeros(seen.shape, dtype=like.dtype, device=like.device).masked_fill_(~seen, -torch.inf)


def attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Return the values (B, H, T, D) that each query sees, weighted by its scores, which are float32 or better.

    One query a row: the heads that share a key head become its queries, so that each key is read once for all of them.

    Args:
        query: (B, H, T, D).
        keys: (B, H_kv, S, D).
        values: as ``keys``.
        mask: as ``mask_for`` makes it; None for several queries means that they are the keys' own, causally.
    """
    if query.shape[2] == 1:
        shared = query.reshape(len(query), keys.shape[1], -1, query.shape[3])  # (B, H_kv, G, D)
        heads = functional.scaled_dot_product_attention(shared, keys, values, attn_mask=mask)
        return heads.flatten(1, 2).unsqueeze(2)
    return functional.scaled_dot_product_attention(
        query, keys, values, attn_mask=mask, is_causal=mask is None, enable_gqa=True
    )
