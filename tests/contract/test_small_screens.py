"""Terminals with hardly any room: twenty columns, one row. What is shown there can be read, and nothing is lost."""

from __future__ import annotations

import sys
from functools import partial

import pexpect
import pyte
import pytest
from processes import DEADLINE, MISTRAL, environment, fake

from mistral_cli.cli import COMMANDS, guarded, run

LONG = 13
"""Characters of words that twenty columns do not hold behind an indent."""


def _help(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int, name: str) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert guarded(partial(run, [*name.split(), "--help"])) == 0
    return capfd.readouterr().out


def _without(text: str, examples: tuple[str, ...]) -> str:
    before, heading, after = text.partition("Examples:\n")
    for example in examples:
        after = after.replace(f"  {example}\n", "", 1)
    return before + heading + after


@pytest.mark.parametrize("name", ["", *(row.name for row in COMMANDS)])
def test_help_on_twenty_columns_says_the_same_and_breaks_no_word(capfd, monkeypatch, name: str) -> None:
    wide, narrow = (_help(capfd, monkeypatch, columns, name) for columns in (80, 20))
    examples = next((row.examples for row in COMMANDS if row.name == name), ())
    wide, narrow = _without(wide, examples), _without(narrow, examples)  # they stay whole, for whoever copies them
    assert max(len(line.rstrip()) for line in narrow.splitlines()) <= 20
    assert "".join(narrow.split()) == "".join(wide.split())
    long_words = " ".join(word for word in wide.split() if len(word) > LONG or "|" in word)
    assert [word for word in narrow.split() if word not in long_words and word not in wide.split()] == []


def _screen(columns: int, rows: int, command: list[str], typed: tuple[tuple[str, str], ...]) -> pyte.HistoryScreen:
    """Run a program in a terminal of that size; type each line once its text has come; return what stands there."""
    screen = pyte.HistoryScreen(columns, rows, history=1000)
    child = pexpect.spawn(
        command[0],
        command[1:],
        env=environment(TERM="xterm-256color", NO_COLOR="1", COLUMNS=None, LINES=None),
        timeout=DEADLINE,
        dimensions=(rows, columns),
    )
    child.delaybeforesend = None
    sent = b""
    for awaited, line in typed:
        child.expect_exact(awaited)
        sent += child.before + child.after
        child.send(line)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    pyte.ByteStream(screen).feed(sent + child.before)
    return screen


def _said(screen: pyte.HistoryScreen) -> str:
    above = ["".join(row[column].data for column in range(screen.columns)) for row in screen.history.top]
    return " ".join(" ".join([*above, *screen.display]).split())


@pytest.mark.pty
@pytest.mark.parametrize("size", [(20, 1), (80, 1), (20, 2)])
def test_one_row_is_enough_for_a_chat(size: tuple[int, int]) -> None:
    answer = "# Head\n\nSome *words*.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nThe end."
    program = fake("chat", answers=[answer, "Again."])
    screen = _screen(*size, program, ((">", "one\r"), ("The end.", "/retry\r"), ("Again.", "/exit\r")))
    said = _said(screen)
    for words in ("Some", "The end.", "Again.", "Kept as one."):
        assert words in said
    assert "Traceback" not in said


@pytest.mark.pty
def test_doctor_on_twenty_columns_breaks_no_word() -> None:
    screen = _screen(20, 24, [*MISTRAL, "doctor"], ())
    rows = ["".join(row[column].data for column in range(20)) for row in screen.history.top] + screen.display
    said = " ".join(" ".join(rows).split())
    assert sys.version.split()[0] in said
    assert "Everything is in order." in said or "mistral pull" in said
