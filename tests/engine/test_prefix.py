"""What a cached conversation may reuse."""

from __future__ import annotations

import pytest
import torch

from mistral_cli.engine.prefix import KeptSequence, common_prefix
from mistral_cli.model.args import ModelArgs
from mistral_cli.model.cache import KVCache

CPU = torch.device("cpu")


def kept(ids: list[int], window: int | None = None) -> KeptSequence:
    """Return a cache that says it holds ``ids``, written one by one."""
    args = ModelArgs(dim=8, n_layers=1, head_dim=4, hidden_dim=8, n_heads=2, n_kv_heads=1, sliding_window=window)
    sequence = KeptSequence(KVCache(args, capacity=2000, dtype=torch.float32, device=CPU))
    row = torch.zeros(1, 1, 1, 4)
    for position, token in enumerate(ids):
        sequence.cache.layers[0].write(position, row, row)
        sequence.cache.advance(1)
        sequence.add([token])
    return sequence


@pytest.mark.parametrize(
    ("one", "other", "length"),
    [((), (1,), 0), ((1, 2, 3), (1, 2, 3), 3), ((1, 2), (1, 2, 3), 2), ((1, 2, 9), (1, 2, 3, 4), 2), ((9,), (1,), 0)],
)
def test_the_common_prefix_ends_at_the_first_difference(one: tuple[int], other: tuple[int], length: int) -> None:
    assert common_prefix(one, other) == common_prefix(other, one) == length


def test_what_differs_is_dropped_from_cache_and_ids_alike() -> None:
    sequence = kept([1, 2, 3, 4])
    assert sequence.keep([1, 2, 9, 9]) == (2, False)
    assert (sequence.cache.length, sequence.ids) == (2, [1, 2])


def test_the_last_token_is_always_computed_anew() -> None:
    assert kept([1, 2, 3]).keep([1, 2, 3]) == (2, False)
    assert kept([1, 2, 3, 4, 5]).keep([1, 2, 3]) == (2, False)
    assert kept([1]).keep([1]) == (0, False)


def test_an_empty_cache_keeps_nothing() -> None:
    assert kept([]).keep([1, 2, 3]) == (0, False)


def test_a_window_that_rolled_past_empties_the_cache_and_says_so() -> None:
    ids = list(range(600))
    sequence = kept(ids, window=8)
    assert sequence.keep([*ids[:300], 7]) == (0, True)
    assert (sequence.cache.length, sequence.ids) == (0, [])


def test_a_window_that_rolled_past_a_mere_beginning_is_nothing_to_speak_of() -> None:
    sequence = kept(list(range(600)), window=8)
    assert sequence.keep([0, 1, 2, 900, 901, 902, 903, 904]) == (0, False)


def test_a_window_does_not_hinder_going_on_from_the_end() -> None:
    ids = list(range(600))
    assert kept(ids, window=8).keep([*ids, 7, 8]) == (600, False)


def test_forgetting_empties_cache_and_ids() -> None:
    sequence = kept([1, 2, 3])
    sequence.forget()
    assert (sequence.cache.length, sequence.ids) == (0, [])
