"""Prompts of a batch that begin alike: their beginning is read once, and changes no token."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from batches import GREEDY, alone, ids, side_by_side
from lively_engine import ARGS, engine, lively

from mistral_cli.contract import PrefillProgress
from mistral_cli.engine.batch import TokenRequest
from mistral_cli.engine.generate import NativeEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.model.transformer import Mistral


def alike(count: int, shared: int) -> list[TokenRequest]:
    beginning = [3 + number % 90 for number in range(shared)]
    return [TokenRequest(prompt=[*beginning, 7, 8 + number, 9], params=GREEDY) for number in range(count)]


def tokens_read(model: Mistral, ask: Callable[[], object]) -> int:
    """Return how many tokens pass the model's embedding meanwhile."""
    seen: list[int] = []
    handle = model.model.embed_tokens.register_forward_hook(lambda _module, args, _out: seen.append(args[0].numel()))
    ask()
    handle.remove()
    return sum(seen)


@pytest.mark.parametrize("rows", [2, 6])
@pytest.mark.parametrize("chunk", [9, 256])
def test_a_beginning_in_common_is_read_once(rows: int, chunk: int) -> None:
    asked = alike(6, shared=50)
    which = engine(chunk=chunk)
    together: dict[int, list[object]] = {}
    read = tokens_read(which.model, lambda: together.update(side_by_side(which, asked, rows)))
    assert read == 51 + 6 * 2 + 6 * 11
    assert [together[number][-1].reused_tokens for number in range(6)] == [0] + [51] * 5
    for number, request in enumerate(asked):
        assert ids(together[number]) == ids(alone(engine(), request))


def test_the_very_same_prompt_twice_shares_all_but_its_last_id() -> None:
    asked = alike(1, shared=50) * 3
    together = side_by_side(engine(), asked)
    assert [together[number][-1].reused_tokens for number in range(3)] == [0, 52, 52]
    assert ids(together[0]) == ids(together[1]) == ids(together[2])


def test_the_next_batch_reuses_what_the_last_one_left() -> None:
    which = engine()
    side_by_side(which, alike(2, shared=50), rows=1)
    assert side_by_side(which, alike(3, shared=50)[2:], rows=1)[0][-1].reused_tokens == 51


def test_a_row_whose_donor_ends_half_read_is_read_by_itself() -> None:
    flag = threading.Event()
    asked = alike(3, shared=50)
    asked[0] = replace(asked[0], cancel=flag)
    events: dict[int, list[object]] = {}
    for index, event in engine(chunk=9).generate_many(asked, rows=3):
        events.setdefault(index, []).append(event)
        if index == 0 and isinstance(event, PrefillProgress) and event.done == 18:
            flag.set()
    assert events[0][-1].reason == "cancelled"
    for number in (1, 2):
        assert ids(events[number]) == ids(alone(engine(), asked[number]))
    assert events[2][-1].reused_tokens == 51


def test_a_donor_whose_window_has_rolled_past_the_beginning_is_not_used() -> None:
    model = lively(replace(ARGS, sliding_window=7, max_position_embeddings=2000))

    def wide() -> NativeEngine:
        return NativeEngine(model, context=1500, eos_ids=(), chunk=64)

    long = TokenRequest(prompt=[3 + number % 90 for number in range(700)], params=GREEDY)
    short = TokenRequest(prompt=[*long.prompt[:40], 5], params=GREEDY)
    together = side_by_side(wide(), [long, short], rows=2)
    for number, request in enumerate((long, short)):
        assert ids(together[number]) == ids(alone(wide(), request))
