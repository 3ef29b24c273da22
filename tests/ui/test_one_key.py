"""One key from a terminal: what is read, what is dropped, and that the terminal is as it was."""

from __future__ import annotations

import os
import pty
import select
import sys
import termios
from typing import TYPE_CHECKING

import pytest

from mistral_cli.ui.one_key import read_key

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Return what is typed into to press keys at stdin."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield ours
    os.close(ours)


@pytest.mark.parametrize(
    ("typed", "read"), [(b"d", "d"), (b"n", "n"), (b"\r", "\n"), (b"\x04", "\x04"), (b"\x03", "\x03")]
)
def test_a_key_needs_no_enter(keys: int, typed: bytes, read: str) -> None:
    assert read_key(lambda: os.write(keys, typed)) == read


def test_what_was_typed_before_the_question_is_dropped(keys: int) -> None:
    os.write(keys, b"d\r")
    assert select.select([sys.stdin], [], [], 10)[0]  # it is there, and would be read
    assert read_key(lambda: os.write(keys, b"n")) == "n"


@pytest.mark.parametrize("typed", [b"\x1b[A", "é".encode()])
def test_a_key_of_several_bytes_leaves_none_behind(keys: int, typed: bytes) -> None:
    assert read_key(lambda: os.write(keys, typed)) not in ("d", "")
    os.write(keys, b"\n")
    assert os.read(sys.stdin.fileno(), 10) == b"\n"


def test_the_terminal_is_as_it_was_and_shows_no_key(keys: int) -> None:
    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    read_key(lambda: os.write(keys, b"d"))
    assert termios.tcgetattr(stdin) == before
    os.write(keys, b"\r")
    assert os.read(keys, 10) == b"\r\n"


def test_it_is_as_it_was_when_the_question_cannot_be_shown(keys: int) -> None:
    before = termios.tcgetattr(sys.stdin.fileno())
    with pytest.raises(KeyboardInterrupt):
        read_key(_interrupted)
    assert termios.tcgetattr(sys.stdin.fileno()) == before


def _interrupted() -> None:
    raise KeyboardInterrupt
