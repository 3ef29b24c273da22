"""The beginning of an answer and each of its tokens: what every engine does alike, whoever computes the logits."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import torch

from mistral_cli.contract import TokenDrawn
from mistral_cli.engine.answer import Answer
from mistral_cli.engine.faults import not_finite
from mistral_cli.engine.sampler import Seen, next_id

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from torch import Tensor

    from mistral_cli.contract import Cancel, SamplingParams


def begin_answer(
    prompt: Sequence[int], params: SamplingParams, cancel: Cancel, *, context: int, protected: Collection[int]
) -> Answer:
    """Return an answer to ``prompt`` with its own random numbers and what room the context leaves.

    Args:
        prompt: its ids.
        params: what was asked.
        cancel: the flag that ends it.
        context: tokens that fit, prompt and answer together.
        protected: ids that no penalty touches.
    """
    room, ids, own = context - len(prompt), list[int](), list(prompt)
    seed = secrets.randbits(32) if params.seed is None else int(params.seed)
    return Answer(
        prompt=own,
        params=params,
        cancel=cancel,
        generator=torch.Generator().manual_seed(seed),
        seen=Seen(prompt=own, answer=ids, protected=protected),
        ids=ids,
        room=room if params.max_tokens is None else min(room, int(params.max_tokens)),
    )


@torch.inference_mode()
def draw_token(answer: Answer, logits: Tensor) -> TokenDrawn:
    """Draw the next id from ``(V,)`` logits and count it. One number comes back from the device: the id, or -1.

    Raises:
        MistralError: the logits are not finite; the message names the token.
    """
    chosen = next_id(logits, answer.params, answer.seen, answer.generator)
    token = int(torch.where(logits.sum().isfinite(), chosen, -1))
    if token < 0:
        raise not_finite(answer.drawn + 1, len(answer.prompt))
    answer.note(token)
    if answer.params.logprobs is None:
        return TokenDrawn(id=token)
    return _with_logprobs(token, logits, int(answer.params.logprobs))


def _with_logprobs(token: int, logits: Tensor, count: int) -> TokenDrawn:
    values, ids = logits.topk(min(count, logits.shape[-1]))
    # one number is subtracted from the few that are told: a log-softmax would write the whole vocabulary out
    logprob, *others = (torch.cat([logits[token, None], values]) - logits.logsumexp(-1)).tolist()
    return TokenDrawn(id=token, logprob=logprob, top=tuple(zip(ids.tolist(), others, strict=True)))
