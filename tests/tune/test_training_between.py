"""Rows kept apart are asked while a training goes on: when that is due, and without changing a number of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from trainings import Noted, make_job, never, write_small_model

from mistral_cli.tune.events import Evaluation, Outcome
from mistral_cli.tune.train import train

if TYPE_CHECKING:
    from pathlib import Path

DROPPING = {"dropout": 0.2, "steps": 7}
"""Two batches a step, three steps an epoch; random numbers are drawn in every batch."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("models") / "small")


def asked_at(watcher: Noted) -> list[int]:
    return [evaluation.step for evaluation in watcher.evaluations]


def test_they_are_asked_so_often_and_no_number_of_the_training_is_another(model: Path, tmp_path: Path) -> None:
    seldom, often = Noted(), Noted()
    train(make_job(model, tmp_path / "seldom", apart=3, eval_every=100, **DROPPING), seldom, never)
    outcome = train(make_job(model, tmp_path / "often", apart=3, eval_every=2, **DROPPING), often, never)
    assert (asked_at(seldom), asked_at(often)) == ([0, 7], [0, 2, 4, 6, 7])
    assert often.losses == pytest.approx(seldom.losses, abs=1e-6)
    assert outcome.between == tuple(often.evaluations[1:4])
    assert outcome.after.loss == pytest.approx(seldom.evaluations[-1].loss, abs=1e-6)
    assert len({evaluation.loss for evaluation in often.evaluations}) == 5
    assert often.asked == [(0, 3), (2, 3)] * 5


def test_unless_it_is_said_that_is_once_an_epoch(model: Path, tmp_path: Path) -> None:
    watcher = Noted()
    train(make_job(model, tmp_path, apart=3, **DROPPING), watcher, never)
    assert asked_at(watcher) == [0, 3, 6, 7]


def test_where_no_rows_are_kept_apart_nothing_is_asked(model: Path, tmp_path: Path) -> None:
    watcher = Noted()
    assert train(make_job(model, tmp_path, eval_every=1), watcher, never).between == ()
    assert watcher.evaluations == []


@pytest.mark.parametrize("batch", [1, 2])
def test_stopped_while_they_are_asked_they_are_asked_when_it_goes_on(model: Path, tmp_path: Path, batch: int) -> None:
    """Ctrl-C comes before the first or the second batch of the fourth step's questions."""
    whole, stopped, after = Noted(), Noted(), Noted()
    train(make_job(model, tmp_path / "whole", apart=3, eval_every=2, **DROPPING), whole, never)

    def stopping() -> bool:
        # of step 4: the last one of it is done, and rows are asked
        return len(stopped.steps) == 4 and len(stopped.asked) == 4 + batch - 1

    job = make_job(model, tmp_path / "stopped", apart=3, eval_every=2, **DROPPING)
    outcome = train(job, stopped, lambda: stopping() and asked_at(stopped) == [0, 2])
    assert (outcome.interrupted, outcome.steps, outcome.after) == (True, 4, None)
    outcome = train(make_job(model, tmp_path / "stopped", apart=3, eval_every=2, resume=True, **DROPPING), after, never)
    assert asked_at(after) == [4, 6, 7]
    assert [one.step for one in outcome.between] == [2, 4, 6]
    assert [one.loss for one in outcome.between] == pytest.approx(
        [one.loss for one in whole.evaluations[1:4]], abs=1e-6
    )
    assert after.losses == pytest.approx(whole.losses[4:], abs=1e-6)


def test_stopped_while_they_are_asked_in_the_end_they_are_asked_when_it_goes_on(model: Path, tmp_path: Path) -> None:
    stopped, after = Noted(), Noted()
    flags = {"apart": 3, "eval_every": 100, **DROPPING}
    outcome = train(make_job(model, tmp_path, **flags), stopped, lambda: len(stopped.asked) == 3)
    assert (outcome.interrupted, outcome.steps, outcome.after) == (True, 7, None)
    assert not (tmp_path / "adapter_config.json").exists()
    outcome = train(make_job(model, tmp_path, resume=True, **flags), after, never)
    assert (outcome.interrupted, after.steps, asked_at(after)) == (False, [], [7])
    assert outcome.after is not None
    assert outcome.after.loss < outcome.before.loss
    assert (tmp_path / "adapter_config.json").exists()


def test_a_training_that_goes_on_may_ask_more_often(model: Path, tmp_path: Path) -> None:
    train(make_job(model, tmp_path, apart=3, **DROPPING), (first := Noted()), lambda: len(first.steps) == 4)
    watcher = Noted()
    train(make_job(model, tmp_path, apart=3, resume=True, eval_every=5, **DROPPING), watcher, never)
    assert (asked_at(first), asked_at(watcher)) == ([0, 3], [5, 7])


@pytest.mark.parametrize(("losses", "best"), [((3, 2, 1), 2), ((3, 1, 2), 1), ((1, 2, 3), 0), ((2, 1, 1), 1)])
def test_the_best_is_the_first_of_the_least_loss(tmp_path: Path, losses: tuple[int, ...], best: int) -> None:
    before, between, after = (Evaluation(step=step, loss=loss, tokens=1) for step, loss in enumerate(losses))
    outcome = Outcome(
        steps=2,
        before=before,
        after=after,
        between=(between,),
        folder=tmp_path,
        interrupted=False,
        seconds=1,
        peak_bytes=1,
    )
    assert outcome.best.step == best
