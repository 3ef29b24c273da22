"""What the store survives: being killed, a full disk, other writers, damage, a newer version."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from kept import FULL, talk

from full_disk import room_for_files
from mistral_cli.chat.conversation import Conversation
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import open_store, open_to_read
from mistral_cli.chat.turn import Turn
from mistral_cli.contract import Done
from mistral_cli.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITER = """
import sys; from pathlib import Path
from mistral_cli.chat.store import open_store
from mistral_cli.chat.turn import Turn
store = open_store(Path(sys.argv[1]))
session = store.new_session(sys.argv[2])
parent = None
for number in range(int(sys.argv[3])):
    turn = Turn(parent=parent, question=f"{sys.argv[2]} {number}", answer="an answer " * 300)
    parent = store.add_turn(session.id, turn).id
    print(parent, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "chats.db"


def _writer(path: Path, name: str, turns: int = 1_000_000) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(turns)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _said(keeper: Keeper, conversation: Conversation, question: str) -> Conversation:
    turn = conversation.answered(question, Done(reason="stop", text=f"To {question}"))
    assert turn is not None
    return conversation.with_turn(keeper.keep(turn))


@pytest.mark.parametrize("after", [1, 2, 7, 20])
def test_every_turn_that_was_committed_outlives_a_kill(path: Path, after: int) -> None:
    with _writer(path, "killed") as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(after)]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.read().splitlines()
    assert writer.returncode == -signal.SIGKILL
    store = open_store(path)
    _, conversation = store.load("killed")
    assert {int(number) for number in told} <= set(conversation.turns)
    assert store.read("PRAGMA integrity_check") == [("ok",)]
    assert [turn.question for turn in conversation.path()] == [f"killed {n}" for n in range(len(conversation.turns))]


def test_several_processes_lose_and_tear_nothing(path: Path) -> None:
    writers = [_writer(path, name, 40) for name in ("a", "b", "c")]
    for writer in writers:
        writer.communicate(timeout=300)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    store = open_store(path)
    for name in ("a", "b", "c"):
        path_of = store.load(name)[1].path()
        assert [(turn.question, turn.answer) for turn in path_of] == [
            (f"{name} {n}", "an answer " * 300) for n in range(40)
        ]


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """Return another program's connection, in the middle of a turn."""
    open_store(path).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield database


def test_what_another_program_writes_is_waited_for_with_short_looks(
    path: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long ones would miss the moment between two turns of a program that writes again and again."""
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            other.execute("COMMIT")

    monkeypatch.setattr("mistral_cli.chat.locked.time.sleep", wait)
    assert talk(open_store(path), "one").name == "one"
    assert waits == [0.001] * 3


def test_ctrl_c_ends_the_waiting_for_another_program(
    path: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mistral_cli.chat.locked.time.sleep", lambda _: os.kill(os.getpid(), signal.SIGINT))
    store = open_store(path)
    with pytest.raises(KeyboardInterrupt):
        talk(store, "one")
    other.execute("COMMIT")
    assert [session.name for session in (talk(store, "two"), *store.sessions())] == ["two", "two"]


def test_a_program_that_never_ends_writing_is_said(
    path: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mistral_cli.chat.locked.PATIENCE", 0)
    with pytest.raises(StoreError, match="locked") as caught:
        talk(open_store(path), "one")
    assert caught.value.hint == "Another terminal is writing: try again."


def test_a_full_disk_is_said_once_and_what_waited_is_kept_when_there_is_room_again(path: Path) -> None:
    said: list[str] = []
    store = open_store(path)
    keeper = Keeper(store=store, warn=said.append)
    conversation = _said(keeper, Conversation(), "one")
    with room_for_files() as allow:
        allow(1)
        keeper.keep_input("two")
        conversation = _said(keeper, conversation, "two")
        conversation = _said(keeper, conversation, "three")
    assert len(said) == 1
    assert "The chat goes on, but is not kept" in said[0]
    assert str(path) in said[0]
    assert [turn.question for turn in conversation.path()] == ["one", "two", "three"]
    assert [turn.question for turn in open_to_read(path).load("last")[1].path()] == ["one"]
    conversation = _said(keeper, conversation, "four")
    assert [turn.question for turn in conversation.path()] == ["one", "two", "three", "four"]
    assert [turn.question for turn in store.load("last")[1].path()] == ["one", "two", "three", "four"]
    assert len(said) == 1


@pytest.mark.parametrize("content", [b"no database at all " * 500, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_file_is_told_and_kept_and_never_overwritten(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreError, match="cannot be used"):
        open_to_read(path)
    assert path.read_bytes() == content
    said: list[str] = []
    for number in (1, 2):
        path.write_bytes(content)
        store = open_store(path, said.append)
        assert talk(store, "new").name == "new"
        store.close()
        assert path.with_name(f"chats.db.damaged-{number}").read_bytes() == content
    assert len(said) == 2
    assert "chats.db.damaged-1" in said[0]


def test_damage_that_shows_later_ends_the_keeping_and_not_the_chat(path: Path) -> None:
    store = open_store(path)
    talk(store, *(f"question {number}" for number in range(200)))
    store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    content = path.read_bytes()
    said: list[str] = []
    keeper = Keeper(store=open_store(path, pytest.fail), warn=said.append)
    conversation = _said(keeper, _said(keeper, Conversation(), "one"), "two")
    assert len(conversation.path()) == 2
    assert len(said) == 1
    assert "malformed" in said[0]
    assert path.read_bytes() == content


@pytest.mark.parametrize("opened", [open_store, open_to_read])
def test_a_newer_database_is_refused_and_left_as_it_is(path: Path, opened) -> None:
    talk(open_store(path), "one")
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreError, match=r"newer mistral-cli.*99.*Update mistral-cli"):
        opened(path)
    database = sqlite3.connect(path)
    assert database.execute("SELECT question FROM turns").fetchall() == [("one",)]
    database.close()


def test_where_no_folder_can_be_made_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(tmp_path / "data" / "chats.db")


def test_what_cannot_be_written_can_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(path)
    kept = store.add_turn(store.new_session("here").id, FULL)
    store.close()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert open_to_read(path).load("here")[1].path() == (kept,)


def test_a_turn_that_waits_is_found_by_the_turns_after_it(path: Path) -> None:
    keeper = Keeper(store=open_store(path))
    first = keeper.keep(Turn(id=-1, question="one", answer="a"))
    assert first.id > 0
    second = keeper.keep(Turn(id=-2, parent=first.id, question="two", answer="b"))
    assert keeper.store is not None
    assert keeper.store.load("one")[1].path() == (first, replace(second, parent=first.id))


def test_without_a_store_turns_are_handed_back_as_they_are() -> None:
    turn = Turn(id=-1, question="one", answer="a")
    assert Keeper().keep(turn) is turn
