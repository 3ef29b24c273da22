"""How many answers fit side by side, counted before anything is loaded."""

from __future__ import annotations

import pytest
import torch

from mistral_cli.engine import plan
from mistral_cli.engine.plan import Plan, kv_bytes
from mistral_cli.engine.plan_rows import ROWS, context_of_rows, plan_rows
from mistral_cli.errors import OutOfMemoryError
from mistral_cli.model.args import ModelArgs

ARGS = ModelArgs.mistral_7b_v03()
PLAN = Plan(args=ARGS, dtype=torch.bfloat16, device=torch.device("cpu"))
EACH = kv_bytes(ARGS, 4096, torch.bfloat16) + ARGS.vocab_size * 4


def free(monkeypatch: pytest.MonkeyPatch, rows: float) -> None:
    """Let there be room for the model and so many rows."""
    monkeypatch.setattr(plan, "host_free", lambda: int(PLAN.needed(4096) + (rows - 1) * EACH))


@pytest.mark.parametrize(("room", "rows"), [(100, ROWS), (8.0, 8), (7.9, 7), (3.5, 3), (1.0, 1), (0.5, 1)])
def test_as_many_as_fit_but_no_more_than_eight(monkeypatch: pytest.MonkeyPatch, room: float, rows: int) -> None:
    free(monkeypatch, room)
    assert plan_rows(PLAN, 4096) == rows


def test_what_is_asked_for_and_fits_is_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 40.5)
    assert [plan_rows(PLAN, 4096, asked) for asked in (1, 5, 40)] == [1, 5, 40]


def test_more_than_fit_are_refused_with_both_numbers_and_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 3.5)
    with pytest.raises(OutOfMemoryError, match=r"4 answers side by side need ([\d,]+) bytes") as caught:
        plan_rows(PLAN, 4096, 4)
    assert f"{PLAN.needed(4096) + 3 * EACH:,}" in caught.value.message
    assert f"{int(PLAN.needed(4096) + 2.5 * EACH):,} are free" in caught.value.message
    assert "--batch 3" in caught.value.hint


def test_a_cache_in_bytes_makes_room_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 4.0)
    small = Plan(args=ARGS, dtype=torch.bfloat16, device=torch.device("cpu"), kv="int8")
    assert plan_rows(small, 4096) > plan_rows(PLAN, 4096)


def test_where_nobody_asked_for_a_context_so_many_answers_get_one_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 3.5)
    assert context_of_rows(PLAN, 4096, 3) == 4096
    smaller = context_of_rows(PLAN, 4096, 5)
    assert 2048 <= smaller < 4096
    assert plan_rows(PLAN, smaller, 5) == 5


def test_more_answers_than_have_room_for_a_small_context_are_refused_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free(monkeypatch, 3.5)
    assert context_of_rows(PLAN, 4096, 100) == 4096
    with pytest.raises(OutOfMemoryError, match="100 answers side by side"):
        plan_rows(PLAN, 4096, 100)
