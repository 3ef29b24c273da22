"""Prompts of unequal length side by side give the logits that each gives alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from oracle import PLAIN, SHAPES, gap, models, tokens

LENGTHS = (30, 17, 1)
ARGS = {name: SHAPES[name] for name in ("mistral", "windowed", "mixtral")} | {
    "one token wide": replace(PLAIN, sliding_window=1),
    "wider than short rows": replace(PLAIN, sliding_window=20),
}


def side_by_side(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the last ``LENGTHS[i]`` tokens of each row behind padding, and the padding."""
    padding = torch.tensor([rows.shape[1] - length for length in LENGTHS])
    filler = torch.arange(rows.shape[1]) < padding[:, None]
    return rows.masked_fill(filler, 5), padding


@pytest.mark.parametrize("sizes", [[30], [8, 8, 14]], ids=["whole", "in chunks"])
@pytest.mark.parametrize("shape", ARGS)
@torch.inference_mode()
def test_padded_rows_equal_rows_alone_in_prefill_and_decode(shape: str, sizes: list[int]) -> None:
    ours, theirs = models(ARGS[shape])
    prompts, answers = tokens(3, 30), tokens(3, 9, seed=4)
    padded, padding = side_by_side(prompts)
    cache, logits = None, []
    for piece in (*padded.split(sizes, 1), *answers.split([1, 1, 3, 1, 1, 1, 1], 1)):
        out, cache = ours(piece, cache, padding=padding if cache is None else None)
        logits.append(out)
    batched = torch.cat(logits, 1)
    for row, length in enumerate(LENGTHS):
        alone = torch.cat((prompts[row, -length:], answers[row]))[None]
        assert gap(batched[row, -length - 9 :], ours(alone)[0][0]) < 1e-10
        if shape != "one token wide":  # where transformers fails
            assert gap(batched[row, -length - 9 :], theirs(alone).logits[0]) < 1e-10


@torch.inference_mode()
def test_what_stands_in_the_padding_does_not_matter() -> None:
    ours, _ = models(SHAPES["mistral"])
    padded, padding = side_by_side(tokens(3, 30))
    other = padded.clone()
    other[1, :5] = 77
    first, _ = ours(padded, padding=padding)
    second, _ = ours(other, padding=padding)
    assert first.isfinite().all()
    assert torch.equal(first[1, 13:], second[1, 13:])
    assert gap(first, ours(padded)[0]) > 1e-3  # and without its padding it would matter


@torch.inference_mode()
def test_a_first_chunk_may_lie_wholly_in_a_long_padding() -> None:
    ours, _ = models(SHAPES["windowed"])
    ids, padding = tokens(2, 1300), torch.tensor([1290, 0])
    _, cache = ours(ids[:, :8], padding=padding)
    logits, _ = ours(ids[:, 8:], cache)
    assert gap(logits[0, -10:], ours(ids[:1, -10:])[0][0]) < 1e-10


@torch.inference_mode()
def test_padded_rows_stay_right_when_the_window_rolls() -> None:
    ours, _ = models(SHAPES["windowed"])
    prompts, answers = tokens(3, 30), tokens(3, 300, seed=4)
    padded, padding = side_by_side(prompts)
    out, cache = ours(padded, padding=padding)
    for piece in answers.split(1, 1):
        out, cache = ours(piece, cache)
    alone = torch.cat((prompts[1, -17:], answers[1]))[None]
    assert gap(out[1, -1], ours(alone)[0][0, -1]) < 1e-10


@torch.inference_mode()
def test_a_fresh_start_forgets_the_padding() -> None:
    ours, _ = models(SHAPES["mistral"])
    padded, padding = side_by_side(tokens(3, 30))
    _, cache = ours(padded, padding=padding)
    cache.crop(0)
    assert torch.equal(ours(padded, cache)[0], ours(padded)[0])


@pytest.mark.parametrize("shape", [(1, 4), (4,), (3, 0), (3, 4, 1)])
def test_tokens_of_another_shape_than_the_cache_are_refused(shape: tuple[int, ...]) -> None:
    ours, _ = models(SHAPES["mistral"])
    with pytest.raises(ValueError, match="where \\(3, 1 or more\\) is wanted"):
        ours(torch.zeros(shape, dtype=torch.int64), ours.new_cache(3))


def test_padding_of_another_length_than_the_batch_is_refused() -> None:
    ours, _ = models(SHAPES["mistral"])
    with pytest.raises(ValueError, match="Padding of shape \\(2,\\)"):
        ours(tokens(3, 4), padding=torch.tensor([1, 2]))
