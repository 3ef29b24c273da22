"""One step over several caches of unequal length: each row gets the logits that it gets alone."""

from __future__ import annotations

import pytest
import torch

from mistral_cli.errors import ContextError
from oracle import SHAPES, gap, models, tokens

LENGTHS = (30, 1, 17)


@pytest.mark.parametrize("shape", SHAPES)
@torch.inference_mode()
def test_rows_with_caches_of_their_own_get_the_logits_they_get_alone(shape: str) -> None:
    ours, _ = models(SHAPES[shape])
    prompts, answers = tokens(3, 30), tokens(3, 9, seed=4)
    caches = [ours(prompts[row : row + 1, :length])[1] for row, length in enumerate(LENGTHS)]
    steps = [ours.forward_rows(piece, caches) for piece in answers.split(1, 1)]
    for row, length in enumerate(LENGTHS):
        alone = torch.cat((prompts[row, :length], answers[row]))[None]
        assert gap(torch.cat(steps, 1)[row], ours(alone)[0][0, -9:]) < 1e-10
        assert caches[row].length == length + 9


@torch.inference_mode()
def test_rows_may_read_several_tokens_each() -> None:
    ours, _ = models(SHAPES["windowed"])
    prompts, more = tokens(2, 12), tokens(2, 5, seed=4)
    caches = [ours(prompts[row : row + 1, : 4 + 8 * row])[1] for row in range(2)]
    logits = ours.forward_rows(more, caches)
    assert logits.shape == (2, 1, ours.args.vocab_size)
    alone = torch.cat((prompts[0, :4], more[0]))[None]
    assert gap(logits[0, -1], ours(alone)[0][0, -1]) < 1e-10


@torch.inference_mode()
def test_a_row_without_room_is_refused_before_any_is_read() -> None:
    ours, _ = models(SHAPES["mistral"])
    caches = [ours.new_cache(capacity=4), ours.new_cache(capacity=2)]
    ours.forward_rows(tokens(2, 2), caches)
    with pytest.raises(ContextError):
        ours.forward_rows(tokens(2, 1), caches)
    assert [cache.length for cache in caches] == [2, 2]


@torch.inference_mode()
def test_a_cache_with_padding_or_several_rows_is_refused() -> None:
    ours, _ = models(SHAPES["mistral"])
    _, padded = ours(tokens(1, 4), padding=torch.tensor([1]))
    for cache in (padded, ours.new_cache(2)):
        with pytest.raises(ValueError, match="one row each, without padding"):
            ours.forward_rows(tokens(1, 1), [cache])
