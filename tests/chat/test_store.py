"""What is kept comes back as it was, once, under its name, and is gone when it is removed."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from kept import FULL, talk

from mistral_cli.chat.migrations import STEPS
from mistral_cli.chat.opening import connect_reading
from mistral_cli.chat.store import Store, open_store
from mistral_cli.chat.turn import Turn
from mistral_cli.errors import SessionNotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "data" / "chats.db")
    yield store
    store.close()


def _count(store: Store, table: str) -> int:
    return store.read(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 (a test's own word)


def test_a_turn_comes_back_whole(store: Store) -> None:
    session = store.new_session("here")
    kept = store.add_turn(session.id, FULL)
    assert kept == replace(FULL, id=kept.id)
    _, conversation = store.load("here")
    assert conversation.path() == (kept,)
    assert conversation.system == "Be brief."


def test_lone_surrogates_become_replacement_characters(store: Store) -> None:
    session = talk(store, "a\udcffb")
    assert store.load(session.name)[1].path()[0].question == "a\ufffdb"


def test_the_file_and_its_folder_are_private(store: Store) -> None:
    talk(store, "secret")
    files = list(store.path.parent.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_a_chat_is_called_by_its_first_words_and_a_number_where_they_are_taken(store: Store) -> None:
    names = [talk(store, "What is a KV cache?").name for _ in range(3)]
    assert names == ["what-is-a-kv-cache", "what-is-a-kv-cache-2", "what-is-a-kv-cache-3"]


def test_the_chat_talked_in_last_is_last_whatever_the_clock_says(store: Store) -> None:
    first = talk(store, "one")
    talk(store, "two")
    store.add_turn(first.id, Turn(question="more", answer="x", parent=first.leaf))
    assert [session.name for session in store.sessions()] == ["two", "one"]
    assert store.find("last").name == "one"


def test_a_session_tells_how_many_turns_it_holds_and_where_it_stands(store: Store) -> None:
    name = talk(store, "one", "two").name
    session, conversation = store.load(name)
    assert (session.turns, session.leaf) == (2, conversation.path()[-1].id)
    assert [turn.question for turn in conversation.path()] == ["one", "two"]


def test_branches_come_back_and_the_talk_stands_where_it_stood(store: Store) -> None:
    session = talk(store, "one", "two")
    first = store.load(session.name)[1].path()[0]
    other = store.add_turn(session.id, Turn(question="three", answer="x", parent=first.id))
    store.stand_at(session.id, first.id, "Be loud.")
    _, conversation = store.load(session.name)
    assert len(conversation.turns) == 3
    assert [turn.question for turn in conversation.leaves()] == ["two", "three"]
    assert (conversation.leaf, conversation.system) == (first.id, "Be loud.")
    assert conversation.at(other.id).path() == (first, other)


def test_a_beginning_in_common_is_stored_once_and_outlives_the_chat_it_came_from(store: Store) -> None:
    old = talk(store, "one", "two", "dropped", name="old")
    first, second, _ = store.load("old")[1].path()
    talk(store, "else", name="fork", parent=second.id)
    assert _count(store, "turns") == 4
    assert [turn.question for turn in store.load("fork")[1].path()] == ["one", "two", "else"]
    store.delete(old.id)
    assert _count(store, "turns") == 3
    assert store.load("fork")[1].path()[:2] == (first, second)
    store.delete(store.find("fork").id)
    assert _count(store, "turns") == 0


def test_a_fork_without_a_turn_of_its_own_keeps_its_beginning(store: Store) -> None:
    old = talk(store, "one", name="old")
    store.new_session("fork", leaf=store.find("old").leaf)
    store.delete(old.id)
    assert [turn.question for turn in store.load("fork")[1].path()] == ["one"]


def test_what_was_removed_is_not_left_on_the_disk(store: Store) -> None:
    talk(store, "unspeakable")
    talk(store, "kept")
    files = list(store.path.parent.iterdir())
    assert any(b"unspeakable" in path.read_bytes() for path in files)
    store.delete(store.find("unspeakable").id)
    assert not any(b"unspeakable" in path.read_bytes() for path in files if path.exists())
    assert _count(store, "words WHERE words MATCH 'kept'") == 1


def test_a_chat_can_be_called_otherwise_but_not_as_another(store: Store) -> None:
    session = talk(store, "one")
    talk(store, "two")
    assert store.rename(session.id, "Ein Gespräch").name == "Ein Gespräch"
    with pytest.raises(UsageError, match="called 'TWO' already"):
        store.rename(session.id, "TWO")
    with pytest.raises(UsageError, match="called 'two' already"):
        store.new_session("two")


def test_an_unknown_name_is_told_with_the_nearest(store: Store) -> None:
    with pytest.raises(SessionNotFoundError, match="There is no chat yet"):
        store.load("last")
    talk(store, "rotary positions")
    with pytest.raises(SessionNotFoundError, match="Did you mean rotary-positions") as caught:
        store.load("rotary-position")
    assert caught.value.exit_code == 3
    with pytest.raises(SessionNotFoundError, match="mistral history list"):
        store.load("zzz")


def test_what_is_written_together_is_kept_together_or_not_at_all(store: Store) -> None:
    with pytest.raises(UsageError), store.together():
        assert talk(store, "one").name == store.new_session("one").name
    assert store.sessions() == []
    talk(store, "two")
    assert [session.name for session in store.sessions()] == ["two"]


def test_a_store_is_safe_from_turns_without_a_parent_in_it(store: Store) -> None:
    from mistral_cli.errors import StoreError

    session = store.new_session("here")
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        store.add_turn(session.id, Turn(question="q", answer="a", parent=-1))
    assert store.load("here")[1].turns == {}


def test_the_database_says_its_version_and_writes_ahead(store: Store) -> None:
    assert store.read("PRAGMA user_version") == [(len(STEPS),)]
    assert store.read("PRAGMA journal_mode") == [("wal",)]
    assert store.read("PRAGMA foreign_keys") == [(1,)]
    assert sqlite3.connect(store.path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_chat_remembers_the_role_that_answers(store: Store) -> None:
    session = store.new_session("here", role="reviewer")
    assert (session.role, store.find("here").role) == ("reviewer", "reviewer")
    store.set_role(session.id, "")
    assert store.find("here").role == ""


def _written_by_the_first_version(path: Path) -> None:
    database = sqlite3.connect(path)
    for statement in STEPS[0]:
        database.execute(statement)
    database.execute("INSERT INTO sessions VALUES (1, 'old', 'Be brief.', NULL, 'm', '', '', 1)")
    database.execute("PRAGMA user_version = 1")
    database.commit()
    database.close()


def test_chats_of_an_older_version_are_taken_over(tmp_path: Path) -> None:
    _written_by_the_first_version(tmp_path / "chats.db")
    store = open_store(tmp_path / "chats.db")
    session = store.find("old")
    assert (session.system, session.role, session.model) == ("Be brief.", "", "m")


def test_chats_of_an_older_version_are_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    _written_by_the_first_version(tmp_path / "chats.db")
    before = (tmp_path / "chats.db").read_bytes()
    store = Store(tmp_path / "chats.db", connect_reading(tmp_path / "chats.db"))
    assert store.find("old").role == ""
    assert (tmp_path / "chats.db").read_bytes() == before
