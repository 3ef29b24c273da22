"""The bar of long work: late, seldom, by bytes, and on a terminal alone."""

from __future__ import annotations

import pytest

from fakes import fake_console
from mistral_cli.ui.progress import ByteBar, StepBar, time_left

GB = 10**9


class Clock:
    """Tells the time that it is set to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def shown(seconds: list[float], *, is_terminal: bool = True, columns: int = 100) -> str:
    """Let a tenth of ten gigabytes be done at each of these times; return what stands on stderr."""
    console, clock = fake_console(), Clock()
    console.err.can_redraw = is_terminal
    console.err.measure = lambda: columns
    bar = ByteBar(console=console, label="Loading seven", clock=clock)
    for number, second in enumerate(seconds, 1):
        clock.now = 100.0 + second
        bar.update(number * GB, 10 * GB)
    return console.err.file.text


def test_work_of_less_than_half_a_second_shows_nothing() -> None:
    assert shown([0.1, 0.2, 0.3, 0.4, 0.49]) == ""


def test_later_it_tells_share_bytes_and_time_left() -> None:
    text = shown([2.0, 4.0, 6.0])
    assert "Loading seven  ━━━━━━━━━─────────────────────   30%  3.0 of 10.0 GB  14 s left" in text


def test_long_times_are_minutes() -> None:
    assert "9 min left" in shown([60.0])


def test_it_is_drawn_ten_times_a_second_at_most() -> None:
    assert shown([1.0, 1.01, 1.02, 1.2]).count("Loading") == 2


def test_a_narrow_terminal_has_no_bar_but_the_numbers() -> None:
    text = shown([1.0], columns=50)
    assert "━" not in text
    assert "1.0 of 10.0 GB" in text


def test_without_a_terminal_nothing_is_shown() -> None:
    assert shown([1.0, 2.0], is_terminal=False) == ""


def test_on_still_narrower_ones_the_share_is_whole_and_what_does_not_fit_is_left_out() -> None:
    assert shown([1.0], columns=36).endswith("Loading seven   10%  9 s left")
    assert shown([1.0], columns=20).endswith("Loading seven   10%")


def test_small_things_are_told_in_megabytes() -> None:
    console, clock = fake_console(terminal=True), Clock()
    bar = ByteBar(console=console, label="Loading", clock=clock)
    clock.now += 1
    bar.update(5_000_000, 20_000_000)
    assert "5.0 of 20.0 MB" in console.err.file.text


FACTS = ("loss 1.234", "3 min left", "512 tok/s", "lr 2.0e-04")


def steps_shown(*steps: int, total: int = 100, terminal: bool = True, columns: int = 100) -> str:
    console = fake_console(terminal=terminal, columns=columns)
    bar = StepBar(console=console, label="Training")
    for step in steps:
        bar.update(step, total, FACTS)
    return console.err.file.text.removeprefix("\r\x1b[K")


def test_a_step_tells_where_it_is_and_all_facts() -> None:
    shown = steps_shown(50)
    assert shown == "Training  ━━━━━━━━━━━━━━━───────────────  50/100  loss 1.234  3 min left  512 tok/s  lr 2.0e-04"


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (60, "Training  ━━━───  50/100  loss 1.234  3 min left  512 tok/s"),
        (42, "50/100  loss 1.234  3 min left  512 tok/s"),
        (40, "━━━────  50/100  loss 1.234  3 min left"),
        (20, "50/100  loss 1.234"),
    ],
)
def test_a_narrow_terminal_shows_the_facts_that_are_wanted_most(columns: int, shown: str) -> None:
    assert steps_shown(50, columns=columns) == shown


def test_a_log_has_some_twenty_lines_however_many_steps_there_are() -> None:
    lines = steps_shown(*range(1, 1001), total=1000, terminal=False).splitlines()
    assert len(lines) == 21
    assert lines[0] == "Training 1/1,000  loss 1.234  3 min left  512 tok/s  lr 2.0e-04"
    assert lines[-1].startswith("Training 1,000/1,000")


def test_each_of_a_few_steps_has_its_line() -> None:
    assert len(steps_shown(1, 2, 3, total=3, terminal=False).splitlines()) == 3


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (95, "2 min"), (5000, "83 min"), (5400, "1 h 30 min")]
)
def test_times_are_told_in_the_unit_people_would_take(seconds: float, text: str) -> None:
    assert time_left(seconds) == text
