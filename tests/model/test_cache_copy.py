"""The beginning of one cache becomes that of another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mistral_cli.model.cache import KINDS, KVCache, WindowRolledError
from oracle import PLAIN, SHAPES, models, tokens


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ["mistral", "windowed"])
@torch.inference_mode()
def test_a_copy_goes_on_as_the_original_would(shape: str, kind: str) -> None:
    ours, _ = models(SHAPES[shape])
    ids = tokens(1, 30)
    caches = (KVCache(ours.args, capacity=99, dtype=ours.dtype, device="cpu", kind=kind) for _ in range(3))
    source, copy, whole = caches
    ours(ids[:, :20], source)
    ours(tokens(1, 9, seed=8), copy)  # what it held before is gone
    copy.copy_from(source, 12)
    ours(tokens(1, 5, seed=9), source)  # and what the other does from now on is its own affair
    ours(ids[:, :12], whole)
    assert copy.length == 12
    torch.testing.assert_close(ours(ids[:, 12:], copy)[0], ours(ids[:, 12:], whole)[0])


@torch.inference_mode()
def test_a_window_that_has_rolled_is_copied_as_far_as_it_reaches() -> None:
    ours, _ = models(replace(PLAIN, sliding_window=7))
    ids, source, copy = tokens(1, 600), ours.new_cache(capacity=2000), ours.new_cache(capacity=2000)
    for piece in ids.split(50, 1):
        ours(piece, source)
    with pytest.raises(WindowRolledError):
        copy.copy_from(source, 20)
    copy.copy_from(source, 600)
    more = tokens(1, 5, seed=3)
    assert torch.equal(ours(more, copy)[0], ours(more, source)[0])


@torch.inference_mode()
def test_more_than_there_is_cannot_be_copied() -> None:
    ours, _ = models(PLAIN)
    _, source = ours(tokens(1, 5))
    with pytest.raises(ValueError, match="Cannot keep 6 of 5"):
        ours.new_cache().copy_from(source, 6)
