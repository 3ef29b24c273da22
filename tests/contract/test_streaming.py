"""An answer in Markdown on a real terminal that wraps its lines anew: what streamed is what stands there, once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from processes import fake

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.pty, pytest.mark.tmux]

PROSE = "\n\n".join(
    " ".join(f"{place}{number}" for number in range(40)) + f" **bold{place} on two{place}** `code{place}`"
    for place in ("alpha", "beta", "gamma")
)
CODE = "".join(f"    variable{number} = function{number}('text{number}')\n" for number in range(30))
ROWS = "".join(f"| row{number} | value{number} |\n" for number in range(12))
TABLE = f"| name | value |\n|---|---|\n{ROWS}"
LONG = 10_000
"""Tokens of a context that no answer here fills."""
ANSWER = f"# Heading\n\n{PROSE}\n\n```python\n{CODE}```\n\n- item1\n- item2\n\n{TABLE}\nThe end.\n"


def _pieces(text: str) -> list[str]:
    return [*re.findall(r"\s*\S{1,6}", text), "\n"]


def _words(text: str) -> list[str]:
    """Return the words of an answer, in their order, whatever stands between them."""
    return re.findall(r"[A-Za-z]+\d*", text.replace("python", ""))


def _said(seen: str) -> list[str]:
    """Return the words between the question and the end of the answer."""
    return _words(seen.split("> question\n")[1].rpartition("The end.")[0] + "The end.")


@pytest.mark.parametrize("columns", [80, 40, 20])
def test_an_answer_taller_than_the_screen_is_whole_above_it(open_tmux, columns: int) -> None:
    tmux = open_tmux(fake("chat", answers=[_pieces(ANSWER)], context=LONG), columns=columns, rows=12)
    tmux.type("question", "Enter")
    tmux.then("The end. >")  # all of it is drawn for good before the next line is begun
    assert _said(tmux.seen()) == _words(ANSWER)


@pytest.mark.parametrize("size", [(40, 12), (20, 10), (100, 30)])
@pytest.mark.parametrize("until", ["alpha30", "two", "variable12", "row7"])
def test_a_resize_in_the_middle_loses_and_doubles_nothing(open_tmux, tmp_path: Path, until: str, size) -> None:
    pieces, gate = _pieces(ANSWER), tmp_path / "gate"
    stop = next(number for number in range(len(pieces)) if f"{until}" in "".join(pieces[:number]))
    tmux = open_tmux(fake("chat", answers=[pieces], context=LONG, gate=str(gate), gate_at=stop))
    tmux.type("question", "Enter")
    tmux.wait_for("item2" if until == "row7" else until)  # a tall table is not drawn at every word
    tmux.resize(*size)
    gate.touch()
    tmux.then("The end. >")  # all of it is drawn for good before the next line is begun
    assert _said(tmux.seen()) == _words(ANSWER)


def test_ctrl_c_leaves_what_was_said_and_a_clean_line(open_tmux, tmp_path: Path) -> None:
    pieces = _pieces(ANSWER)
    tmux = open_tmux(fake("chat", answers=[pieces], gate=str(tmp_path / "never"), gate_at=10))
    tmux.type("question", "Enter")
    tmux.wait_for(pieces[9].strip())
    tmux.type("typed")
    tmux.type("C-c")
    tmux.wait_for("(stopped)")
    seen = tmux.seen()
    assert "^C" not in seen
    assert _words(seen.split("> question\n")[1].split("(stopped)")[0]) == _words("".join(pieces[:10]))


def test_plain_text_is_wrapped_at_words_as_it_is(open_tmux) -> None:
    tmux = open_tmux(fake("chat", answers=[_pieces(PROSE)], context=LONG, flags={"plain": True}), columns=40)
    tmux.type("question", "Enter")
    tmux.wait_for("`codegamma`")
    lines = tmux.call("capture-pane", "-p", "-S", "-").split("> question\n")[1].split("\n")
    assert "**boldalpha" in " ".join(lines)
    assert max(map(len, lines)) <= 40
    assert " ".join(lines).split()[: len(PROSE.split())] == PROSE.split()
