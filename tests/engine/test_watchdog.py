"""When ids go round in circles, and what it costs to see it."""

from __future__ import annotations

import cProfile
import itertools
import random

import pytest

from mistral_cli.engine.watchdog import LONGEST, Watchdog


def barks_at(ids, counts=lambda _period: True) -> int | None:
    """Return after how many ids the watchdog barks."""
    dog = Watchdog(counts)
    return next((number for number, token in enumerate(ids, start=1) if dog.push(token)), None)


def repeated(period: int, length: int) -> list[int]:
    return list(itertools.islice(itertools.cycle(range(100, 100 + period)), length))


@pytest.mark.parametrize(("period", "ids"), [(1, 200), (3, 200), (24, 200), (25, 200), (26, 208), (64, 512)])
def test_a_period_counts_from_eight_times_and_two_hundred_ids_on(period: int, ids: int) -> None:
    assert barks_at(repeated(period, 600)) == ids
    assert barks_at(repeated(period, ids - 1)) is None


def test_a_period_of_more_than_sixty_four_is_none() -> None:
    assert barks_at(repeated(LONGEST + 1, 5_000)) is None


def test_what_came_before_a_loop_does_not_count() -> None:
    assert barks_at([*range(1_000, 1_300), *repeated(5, 400)]) == 300 + 200


def test_one_other_id_begins_the_count_anew() -> None:
    assert barks_at([*repeated(4, 198), 7, *repeated(4, 198)]) is None
    assert barks_at([*repeated(4, 198), 7, *repeated(4, 200)]) == 198 + 1 + 200


def test_ids_that_do_not_repeat_are_let_be() -> None:
    draw = random.Random(3)
    assert barks_at(draw.choices(range(50), k=20_000)) is None


def test_whoever_knows_the_text_is_asked_once_a_period_and_told_its_ids() -> None:
    asked: list[tuple[int, ...]] = []

    def counts(period) -> bool:
        asked.append(period)
        return False

    assert barks_at(repeated(3, 3_000), counts) is None
    assert len(asked) == LONGEST // 3
    assert sorted(asked[0]) == [100, 101, 102]
    assert all(len(period) % 3 == 0 for period in asked)


def test_a_repetition_that_is_let_be_hides_no_other() -> None:
    ids = [*[5] * 400, *repeated(3, 400)]
    assert barks_at(ids, lambda period: set(period) != {5}) == 400 + 200


def test_the_cost_of_an_id_does_not_grow() -> None:
    dog, ids, works = Watchdog(lambda _period: False), repeated(7, 700), []
    for _ in range(5):
        calls = cProfile.Profile()
        calls.enable()
        for token in ids:
            dog.push(token)
        calls.disable()
        works.append(sum(entry.callcount for entry in calls.getstats()))
    assert works[1] == works[-1] < 100 * len(ids)
