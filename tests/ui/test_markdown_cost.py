"""What it costs to show Markdown while it streams: the same for each token, counted in calls, bytes and drawings."""

from __future__ import annotations

import cProfile

import pytest
from streamed_pages import ANSWER, pieces

from fakes import fake_console
from mistral_cli.ui.markdown.writer import MarkdownWriter


def _work(text: str) -> tuple[int, int]:
    """Stream a text, each token drawn as if drawing took no time; return calls of functions and bytes written."""
    console = fake_console(terminal=True, color=True)
    writer = MarkdownWriter(console=console, clock=lambda: 0.0)
    calls = cProfile.Profile()
    calls.enable()
    for piece in pieces(text, 4):
        writer.push(piece)
    writer.finish()
    calls.disable()
    return sum(entry.callcount for entry in calls.getstats()), len(console.out.file.getvalue())


def _of(tokens: int, unit: str, head: str = "") -> str:
    return (head + unit * (4 * tokens // len(unit) + 1))[: 4 * tokens]


@pytest.mark.parametrize(
    ("head", "unit", "calls", "size"),
    [
        ("", "some words of one long paragraph ", 700, 8),
        ("", "many **words and `never closed ", 3500, 100),
        ("```python\n", "x = function(1, 'text')  # why\n", 500, 20),
        ("```\n", "one line of code without any end ", 200, 6),
        ("| a | b |\n|---|---|\n", "| some | words |\n", 4500, 40),
        ("", "- an item of a list\n  1. nested\n", 600, 8),
        ("", "[a link](http://x.org/y) and <http://z.org> ", 1100, 30),
    ],
)
def test_a_token_costs_the_same_wherever_it_stands(head: str, unit: str, calls: int, size: int) -> None:
    _work(head + unit)  # what is done once: imports, patterns
    few, many = _work(_of(250, unit, head)), _work(_of(1000, unit, head))
    assert many[0] < 4.4 * few[0]
    assert many[0] < calls * 1000
    assert many[1] < size * 1000


def test_eight_thousand_tokens_cost_eight_times_what_a_thousand_do() -> None:
    _work(ANSWER)
    thousand, more = _work(_of(1000, ANSWER)), _work(_of(8000, ANSWER))
    assert more[0] < 8 * 1.05 * thousand[0] < 8 * 1.05 * 800_000
    assert more[1] < 8 * 1.05 * thousand[1]


def test_drawing_what_is_not_settled_takes_a_twentieth_of_the_time_at_most() -> None:
    now, asked, drawings = 0.0, 0, 0

    def clock() -> float:
        nonlocal now, asked, drawings
        asked += 1
        if asked == 2:  # asked before a drawing and after it, which took as long as ten tokens do
            drawings += 1
            now += 0.05
        return now

    writer = MarkdownWriter(console=fake_console(terminal=True), clock=clock)
    writer.push("| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 15)
    for _ in range(2000):
        asked, now = 0, now + 1 / 200
        writer.push("| 1")
    assert 5 < drawings < 0.05 * now / 0.05 + 3
