"""Chats in real terminals outlive what ends them: kill -9, a closed window, another terminal, --no-store."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import fake, wait_until
from terminals import CTRL_C, READY

from mistral_cli.chat.inputs import inputs
from mistral_cli.chat.store import open_to_read

if TYPE_CHECKING:
    from mistral_cli.chat.conversation import Conversation
    from mistral_cli.chat.store import Store

pytestmark = pytest.mark.pty


def _store() -> Store:
    return open_to_read(Path(os.environ["MISTRAL_CLI_HOME"]) / "chats.db")


def _last() -> Conversation:
    return _store().load("last")[1]


def test_what_was_answered_outlives_a_kill_in_the_next_answer_and_is_resumed(open_terminal, gate: Path) -> None:
    terminal = open_terminal(fake("chat", answers=["First.", "Second is cut."], gate=str(gate)))
    terminal.ask("one thing")
    terminal.expect("First.\r\n")
    terminal.ask("two")
    terminal.expect("Second ")
    terminal.process.kill(signal.SIGKILL)
    assert terminal.end() == 137
    assert [turn.question for turn in _last().path()] == ["one thing"]
    terminal = open_terminal(fake("chat", answers=["Third."], flags={"resume": "last"}))
    terminal.expect("Going on with one-thing · 1 turn")
    terminal.ask("three")
    terminal.expect("Third.")
    terminal.ask("/exit")
    terminal.expect("Kept as one-thing")
    assert terminal.end() == 0
    assert [turn.question for turn in _last().path()] == ["one thing", "three"]
    assert inputs(_store())[:3] == ["/exit", "three", "two"]


@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "Ctrl-C"])
def test_an_answer_that_is_cut_short_is_kept_with_its_mark(open_terminal, gate: Path, how: str) -> None:
    terminal = open_terminal(fake("chat", answers=["One two three."], gate=str(gate)))
    terminal.ask("one")
    terminal.expect("One ")
    if how == "Ctrl-C":
        terminal.type(CTRL_C)
        terminal.expect(READY)
    else:
        terminal.process.kill(getattr(signal, how))
        wait_until(lambda: not terminal.process.isalive())
    assert [(turn.answer, turn.reason) for turn in _last().path()] == [("One ", "cancelled")]


@pytest.mark.parametrize(
    ("gate_at", "seen", "kept"),
    [(1, "One ", ("One ", "cancelled")), (9, r"three\.\r\n(?s:.*)" + READY, ("One two three.", "stop"))],
    ids=["in an answer", "at the prompt"],
)
def test_a_closed_window_ends_a_chat_with_129_and_what_was_said_is_kept(
    open_terminal, gate: Path, gate_at: int, seen: str, kept: tuple[str, str]
) -> None:
    terminal = open_terminal(fake("chat", answers=["One two three."], gate=str(gate), gate_at=gate_at))
    terminal.ask("one")
    terminal.expect(seen)
    terminal.hang_up()
    assert terminal.end() == 129
    assert [(turn.answer, turn.reason) for turn in _last().path()] == [kept]


def test_two_terminals_keep_their_chats_side_by_side(open_terminal) -> None:
    terminals = [open_terminal(fake("chat", answers=["Noted."])) for _ in range(2)]
    for number in range(3):
        for name, terminal in zip("ab", terminals, strict=True):
            terminal.ask(f"{name} {number}")
            terminal.expect("Noted.\r\n")
    for terminal in terminals:
        terminal.ask("/exit")
        assert terminal.end() == 0
    for name in "ab":
        path = _store().load(f"{name}-0")[1].path()
        assert [turn.question for turn in path] == [f"{name} {number}" for number in range(3)]


def test_a_private_chat_leaves_no_trace(open_terminal) -> None:
    terminal = open_terminal(fake("chat", flags={"store": False}))
    terminal.ask("a secret")
    terminal.expect("Hello there, friend.")
    terminal.ask("/exit")
    assert terminal.end() == 0
    assert "Kept as" not in terminal.seen
    home = Path(os.environ["MISTRAL_CLI_HOME"])
    assert not any(b"secret" in path.read_bytes() for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize(("name", "code"), [("nothing", 3), ("../../x", 2), ("CON", 2), ("x" * 300, 2), ("-rf", 2)])
def test_a_chat_that_is_not_there_cannot_be_resumed(open_terminal, name: str, code: int) -> None:
    terminal = open_terminal(fake("chat", flags={"resume": name}))
    assert terminal.end() == code


def test_a_damaged_store_is_put_aside_and_the_chat_goes_on(open_terminal) -> None:
    home = Path(os.environ["MISTRAL_CLI_HOME"])
    home.mkdir(parents=True)
    (home / "chats.db").write_bytes(b"no database " * 1000)
    terminal = open_terminal(fake("chat"))
    terminal.expect(r"damaged-1")
    terminal.ask("one")
    terminal.expect("Hello there, friend.")
    terminal.ask("/exit")
    assert terminal.end() == 0
    assert (home / "chats.db.damaged-1").read_bytes() == b"no database " * 1000
    assert len(_last().path()) == 1
