"""Repeated measurements are told by their median and their range."""

from __future__ import annotations

from mistral_cli.measure.figures import Figure


def test_a_figure_is_told_by_the_one_in_the_middle_and_both_ends() -> None:
    figure = Figure((3.0, 1.0, 10.0))
    assert (figure.median, figure.least, figure.most) == (3.0, 1.0, 10.0)
    assert figure.as_json() == {"median": 3.0, "min": 1.0, "max": 10.0, "values": [3.0, 1.0, 10.0]}


def test_seconds_become_a_speed_one_by_one() -> None:
    assert Figure((0.5, 0.25)).per(8).values == (16.0, 32.0)
