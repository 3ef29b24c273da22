"""A signal that comes while an answer ends: the turn is in the store whole, and once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from chats import typed

from fakes import FakeBackend
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.opening import connect
from mistral_cli.chat.store import Store
from mistral_cli.ui.answer import Direct
from mistral_cli.ui.interrupt import unbroken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mistral_cli.chat.turn import Turn
    from mistral_cli.ui.console import Console


@pytest.fixture(autouse=True)
def _ends_that_unwind() -> Iterator[None]:
    """Let these signals unwind, as the program does."""

    def unwind(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, unwind) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@dataclass
class Strikes:
    """Sends signals to this process, once, at a moment."""

    moment: str
    numbers: tuple[int, ...]
    were_sent: bool = False

    def at(self, moment: str) -> None:
        if moment == self.moment and not self.were_sent:
            self.were_sent = True
            for number in self.numbers:
                os.kill(os.getpid(), number)


class StruckStore(Store):
    """A store in whose work a signal comes."""

    strikes: Strikes

    @contextlib.contextmanager
    def together(self) -> Iterator[object]:
        with super().together() as database:
            yield database
        self.strikes.at("after the commit")

    def add_turn(self, session: int, turn: Turn) -> Turn:
        added = super().add_turn(session, turn)
        self.strikes.at("in the transaction")
        return added


@dataclass
class StruckWriter:
    """A writer at whose last line a signal comes."""

    console: Console
    strikes: Strikes
    direct: Direct = field(init=False)

    def __post_init__(self) -> None:
        self.direct = Direct(self.console)

    def push(self, text: str) -> None:
        self.direct.push(text)

    def finish(self) -> None:
        self.direct.finish()
        self.strikes.at("at the end of the line")


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, tuple[int, ...]], list[tuple[str, str]]]:
    """Return what asks one question, with signals at a moment, and returns the turns that were kept."""
    monkeypatch.setattr("mistral_cli.ui.repl.LEAVES_WITHIN", 60.0)  # a busy machine may pause between two Ctrl-C

    def chat(moment: str, numbers: tuple[int, ...]) -> list[tuple[str, str]]:
        strikes, store = Strikes(moment, numbers), StruckStore(tmp_path / "chats.db", connect(tmp_path / "chats.db"))
        store.strikes = strikes
        with pytest.raises(KeyboardInterrupt if signal.SIGINT in numbers else SystemExit):
            typed(
                "one",
                backend=FakeBackend(answers=["One two."]),
                keeper=Keeper(store=store),
                open_writer=lambda console: StruckWriter(console, strikes),
            )
        assert strikes.were_sent
        (session,) = store.sessions()
        assert session.turns == 1
        return [(turn.answer, turn.reason) for turn in store.load("last")[1].path()]

    return chat


@pytest.mark.parametrize("moment", ["at the end of the line", "in the transaction", "after the commit"])
@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGTERM,), (signal.SIGHUP,), (signal.SIGHUP, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)],
    ids=["told to end", "hung up", "both", "Ctrl-C twice"],
)
def test_the_turn_is_kept_whole_and_once(
    ask: Callable[[str, tuple[int, ...]], list[tuple[str, str]]], moment: str, numbers: tuple[int, ...]
) -> None:
    assert ask(moment, numbers) == [("One two.", "stop")]


def test_a_closed_pipe_keeps_what_was_said(tmp_path: Path) -> None:
    class Closed(Direct):
        def push(self, text: str) -> None:
            if text == "two.":
                raise BrokenPipeError
            super().push(text)

    store = Store(tmp_path / "chats.db", connect(tmp_path / "chats.db"))
    with pytest.raises(BrokenPipeError):
        typed("one", backend=FakeBackend(answers=["One two."]), keeper=Keeper(store=store), open_writer=Closed)
    assert [(turn.answer, turn.reason) for turn in store.load("last")[1].path()] == [("One two.", "cancelled")]


def test_what_came_in_the_block_strikes_when_it_is_left() -> None:
    done = []
    with pytest.raises(SystemExit) as end, unbroken():  # noqa: PT012 (the block goes on after the signal)
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("all of it")
    assert (done, end.value.code) == (["all of it"], 143)


def test_it_strikes_also_where_the_block_fails() -> None:
    with pytest.raises(SystemExit), unbroken():  # noqa: PT012 (the block goes on after the signal)
        os.kill(os.getpid(), signal.SIGTERM)
        raise OSError("The terminal is gone.")


def test_what_is_ignored_or_fatal_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with unbroken():
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_in_another_thread_no_handler_is_touched() -> None:
    handlers = []

    def enter() -> None:
        with unbroken():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]
