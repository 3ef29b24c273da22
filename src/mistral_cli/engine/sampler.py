"""Logits in, token id out. Knows no text, keeps no state.

Every filter is a pure function on ``(..., V)`` logits that masks with -inf what it drops, so the next filter sees only
what survived, and the softmax at the end renormalises it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from torch import Tensor

    from mistral_cli.contract import SamplingParams

HEAD = 1024
"""How many of the likeliest tokens are ranked before the whole vocabulary is looked at (10 to 50 times dearer)."""

BINS, REACH = 4096, 20.0
"""Into how many bins the logits within so much of the highest are sorted, where ``HEAD`` are not enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The ids that penalties look at. Without penalties nothing here is ever read."""

    prompt: Sequence[int] = ()
    answer: Sequence[int] = ()
    protected: Collection[int] = frozenset()
    """EOS and control ids: no penalty touches them."""


NOTHING_SEEN = Seen()


def distribution(logits: Tensor, params: SamplingParams, seen: Seen = NOTHING_SEEN) -> Tensor:
    """Return the probabilities ``(V,)`` that the next token is drawn from: the pure function behind every draw.

    Order: bias, penalties, temperature, top_k, top_p, min_p; with ``order="temperature-last"`` the temperature comes
    after min_p. At temperature 0 all probability lies on the likeliest token.

    Args:
        logits: ``(V,)`` finite float32 or float64; left as they are.
        params: what was asked.
        seen: the ids so far, for the penalties.
    """
    logits = adjust(logits, params, seen)
    if params.temperature == 0:
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1)
    for keep in _filters(params):
        logits = keep(logits)
    return logits.softmax(-1)


def draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one id from ``(V,)`` probabilities: a 0-d int64 tensor, on their device or on the CPU.

    One uniform number a draw, looked up in the cumulated probabilities, ten times quicker than ``torch.multinomial``.
    The generator lives on the CPU, so a seed means the same numbers on every device. In float64 ``uniform * total`` is
    always below ``total``, so no token of probability 0 can be met.
    """
    if probabilities.device.type == "mps":
        probabilities = probabilities.cpu()  # Apple's GPUs have no float64
    uniform = torch.rand((), generator=generator, dtype=torch.float64).item()
    cumulated = probabilities.cumsum(-1, dtype=torch.float64)
    return (cumulated <= uniform * cumulated[-1]).sum()


def next_id(logits: Tensor, params: SamplingParams, seen: Seen, generator: torch.Generator) -> Tensor:
    """Choose the next id, a 0-d int64 tensor: the likeliest at temperature 0, else a draw from ``distribution``."""
    if params.temperature == 0:
        return adjust(logits, params, seen).argmax(-1)
    return draw(distribution(logits, params, seen), generator)


def adjust(logits: Tensor, params: SamplingParams, seen: Seen) -> Tensor:
    """Apply bias and penalties, the steps that also matter at temperature 0."""
    if params.logit_bias:
        logits = add_bias(logits, params.logit_bias)
    if params.repetition_penalty != 1:
        ids = {*seen.prompt, *seen.answer}.difference(seen.protected)
        logits = penalise_repetition(logits, ids, params.repetition_penalty)
    if params.presence_penalty or params.frequency_penalty:
        counts = {id_: count for id_, count in Counter(seen.answer).items() if id_ not in seen.protected}
        logits = penalise_answer(logits, counts, params.presence_penalty, params.frequency_penalty)
    return logits


def _filters(params: SamplingParams) -> list[Callable[[Tensor], Tensor]]:
    """Return the steps between the penalties and the softmax, in the order asked."""
    keeps: list[Callable[[Tensor], Tensor]] = [
        lambda logits: keep_top_k(logits, params.top_k),
        lambda logits: keep_top_p(logits, params.top_p),
        lambda logits: keep_min_p(logits, params.min_p),
    ]
    heat = [lambda logits: scale(logits, params.temperature)]
    return heat + keeps if params.order == "temperature-first" else keeps + heat


def add_bias(logits: Tensor, bias: Mapping[int, float]) -> Tensor:
    """Add ``bias[id]`` to the logit of each id."""
    bound = _bound(logits)
    added = [max(-bound, min(bound, value)) for value in bias.values()]
    return logits.index_add(-1, _ids(bias, logits), logits.new_tensor(added))


def penalise_repetition(logits: Tensor, ids: Collection[int], penalty: float) -> Tensor:
    """Make distinct ``ids`` less likely: positive logits divided by ``penalty``, negative ones multiplied.

    Source: CTRL, Keskar et al. 2019, section 4.1, made sign-aware as in transformers.
    """
    if not ids:
        return logits
    index = _ids(ids, logits)
    old = logits.index_select(-1, index)
    penalty = max(penalty, torch.finfo(logits.dtype).tiny)  # below, it is 0 in the logits' dtype, and 0 / 0 is NaN
    new = torch.where(old < 0, old * penalty, old / penalty).clamp(-_bound(logits), _bound(logits))
    return logits.index_copy(-1, index, new)


def penalise_answer(logits: Tensor, counts: Mapping[int, int], presence: float, frequency: float) -> Tensor:
    """Subtract ``presence`` once and ``frequency`` for each occurrence in the answer."""
    if not counts:
        return logits
    cost = [presence + frequency * count for count in counts.values()]
    return logits.index_add(-1, _ids(counts, logits), logits.new_tensor(cost), alpha=-1)


def _bound(logits: Tensor) -> float:
    """Return how far a bias or penalty may move a logit: inf - inf would be NaN, and NaN draws token 0."""
    return torch.finfo(logits.dtype).max / 4


def _ids(ids: Collection[int], logits: Tensor) -> Tensor:
    return torch.tensor(list(ids), dtype=torch.int64, device=logits.device)


def scale(logits: Tensor, temperature: float) -> Tensor:
    """Divide by ``temperature``; the likeliest is moved to 0 first, so that a tiny temperature cannot overflow."""
    if temperature == 1:
        return logits
    coldest = 4 * torch.finfo(logits.dtype).tiny  # below, 1 / temperature would be inf
    return (logits - logits.amax(-1, keepdim=True)) / max(temperature, coldest)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Mask all but the ``k`` likeliest tokens; 0 keeps all."""
    if not 0 < k < logits.shape[-1]:
        return logits
    kept, ids = logits.topk(int(k))
    return torch.full_like(logits, -torch.inf).scatter_(-1, ids, kept)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Mask every token outside the smallest set whose probability reaches ``p``.

    Source: Holtzman et al. 2020, section 3.1.
    """
    if p >= 1:
        return logits  # rounding would mask the tail
    total = logits.logsumexp(-1, keepdim=True)
    enough = p * (1 - 4 * torch.finfo(logits.dtype).eps)  # 0.5 + 0.25 + 0.15 reaches 0.9, however rounded
    enough = max(enough, torch.finfo(logits.dtype).tiny)  # not 0, which the first one's 0 would reach
    if logits.device.type == "cpu" and logits.shape[-1] > HEAD:  # elsewhere a look at the mass would cost a wait
        head = logits.topk(HEAD)
        if bool(((head.values.logsumexp(-1, keepdim=True) - total).exp() >= p).all()):
            return _kept(logits, head.values, head.indices, total, enough)
        if logits.dim() == 1:
            return _keep_by_bins(logits, total, enough)
    return _kept(logits, *logits.sort(descending=True), total, enough)


def _kept(logits: Tensor, ranked: Tensor, ids: Tensor, total: Tensor, enough: float) -> Tensor:
    """Keep of ``ranked``, from the likeliest down, those ahead of which there is not ``enough`` yet; mask the rest."""
    probs = (ranked - total).exp()
    ahead = probs.cumsum(-1) - probs  # mass of all likelier tokens: 0 for the first, so it always stays
    return torch.full_like(logits, -torch.inf).scatter_(-1, ids, ranked.masked_fill(ahead >= enough, -torch.inf))


def _keep_by_bins(logits: Tensor, total: Tensor, enough: float) -> Tensor:
    """Do the same for ``(V,)`` without ranking them all: bins of nearly equal logits, and only one of them is sorted.

    Where a model has no idea, half of the vocabulary is kept, and sorting it takes longer than a layer.
    """
    bins = ((logits.amax() - logits) * (BINS / REACH)).clamp_(max=BINS - 1).to(torch.int64)
    mass = torch.bincount(bins, (logits - total).exp().double(), minlength=BINS)
    ahead = mass.cumsum(-1) - mass
    last = (ahead < enough).sum() - 1  # the bin in which there is enough
    among = (bins == last).nonzero().squeeze(-1)
    ranked, order = logits[among].sort(descending=True)
    probs = (ranked - total).exp().double()
    beyond = among[order[ahead[last] + probs.cumsum(-1) - probs >= enough]]
    return logits.masked_fill(bins > last, -torch.inf).index_fill_(-1, beyond, -torch.inf)


def keep_min_p(logits: Tensor, min_p: float) -> Tensor:
    """Mask tokens less than ``min_p`` times as likely as the likeliest.

    Source: Nguyen et al. 2024, "Min-p sampling", section 3.
    """
    if min_p <= 0:
        return logits
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True) + math.log(min_p), -torch.inf)
