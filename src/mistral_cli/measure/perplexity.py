"""How well a model foretells a text: perplexity over sliding windows. Knows no tokenizer and no file.

A window of tokens is read, and of it those are scored that no window before it held; the others are their context.
So nearly every token is foretold from at least ``window - stride`` before it, as transformers' guide "Perplexity of
fixed-length models" has it. The mean is taken over the very tokens that were scored: the first of a text is not, nor,
where windows do not overlap, the first of each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from mistral_cli.errors import UsageError
from mistral_cli.measure.logits import logits_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mistral_cli.model.transformer import Mistral


@dataclass(frozen=True, slots=True, kw_only=True)
class Perplexity:
    """What a text cost a model."""

    tokens: int
    """Tokens that were scored."""
    nats: float
    """The sum of their negative log-likelihoods."""
    windows: int

    @property
    def value(self) -> float:
        """Perplexity: e to the mean negative log-likelihood of a token."""
        return math.exp(self.nats / self.tokens)

    def bits_per_byte(self, nbytes: int) -> float:
        """Return the bits that a byte of the text took, which models with other tokenizers can be compared by."""
        return self.nats / math.log(2) / nbytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    begin: int
    end: int
    scored: int
    """The first id that is scored."""


def measure_perplexity(
    model: Mistral, ids: Sequence[int], *, window: int, stride: int, notify: Callable[[int, int], None]
) -> Perplexity:
    """Return the perplexity of ``ids``.

    Args:
        model: whose likelihoods.
        ids: the text, BOS first where the model wants it; two at least.
        window: tokens read at once.
        stride: tokens between the beginnings of two windows, 1 to ``window``: the smaller, the better foretold.
        notify: called with the tokens scored and those of all.

    Raises:
        UsageError: fewer than two ids, or a window or stride that cannot be.
    """
    most = model.args.max_position_embeddings
    if not 2 <= window <= most:
        raise UsageError(f"--window is {window:,}, but must be 2 to {most:,}, the positions this model was made for.")
    if not 1 <= stride <= window:
        raise UsageError(f"--stride is {stride:,}, but must be 1 to {window:,}, the size of a window.")
    if len(ids) < 2:
        raise UsageError("The text is too short to be measured.", "Give at least a few words.")
    windows = list(_windows(len(ids), window, stride))
    nats, done = 0.0, 0
    for part in windows:
        nats += _nats(model, ids, part)
        done += part.end - part.scored
        notify(done, len(ids) - 1)
    return Perplexity(tokens=done, nats=nats, windows=len(windows))


def _windows(total: int, window: int, stride: int) -> Iterator[_Window]:
    scored = 1
    for begin in range(0, total, stride):
        end = min(begin + window, total)
        yield _Window(begin=begin, end=end, scored=max(scored, begin + 1))
        scored = end
        if end == total:
            return


def _nats(model: Mistral, ids: Sequence[int], part: _Window) -> float:
    """Return the negative log-likelihood of the ids that ``part`` scores, each foretold from all of it before."""
    total, number = 0.0, part.scored
    for logits in logits_from(model, ids[part.begin : part.end - 1], part.scored - 1 - part.begin):
        wanted = torch.tensor(ids[number : number + len(logits)], device=logits.device)
        total += functional.cross_entropy(logits.double(), wanted, reduction="sum").item()
        number += len(logits)
    return total
