"""What was typed is kept: privately, whole, whoever else writes; the file of earlier versions is taken over once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mistral_cli.chat.inputs import append_input, inputs, take_over
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import Store, open_store
from mistral_cli.ui.history import KeptHistory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "chats.db")
    yield store
    store.close()


def test_entries_come_back_newest_first_and_whole(store: Store) -> None:
    history = KeptHistory(Keeper(store=store))
    for entry in ("one", "two\nlines\r\n", "ü \u2028 \udcff \0", "three"):
        history.store_string(entry)
    assert list(history.load_history_strings()) == ["three", "ü \u2028 \ufffd \0", "two\nlines\r\n", "one"]


def test_without_a_store_nothing_is_kept() -> None:
    history = KeptHistory(Keeper())
    history.store_string("secret")
    assert list(history.load_history_strings()) == []


def test_the_old_file_is_taken_over_once(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(json.dumps("one").encode() + b"\n" + b'"torn \xff\n7\n\n' + json.dumps("two").encode())
    append_input(store, "three")
    take_over(store, path)
    assert not path.exists()
    take_over(store, path)
    assert inputs(store) == ["two", "one", "three"]


def test_a_file_that_could_not_be_removed_is_not_taken_over_again(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "history"
    for _ in range(2):
        path.write_text('"one"\n')
        take_over(store, path)
    assert inputs(store) == ["one"]


def test_writers_at_the_same_time_lose_and_tear_nothing(store: Store) -> None:
    program = (
        "import sys; from pathlib import Path; from mistral_cli.chat.store import open_store\n"
        "from mistral_cli.chat.inputs import append_input\n"
        "store = open_store(Path(sys.argv[1]))\n"
        "for number in range(100): append_input(store, f'{sys.argv[2]}{number} ' + 'x' * 5000)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(store.path), name]) for name in "abc"]
    assert [writer.wait(300) for writer in writers] == [0, 0, 0]
    kept = inputs(store)
    assert len(kept) == 300
    for name in "abc":
        mine = [entry.split()[0] for entry in reversed(kept) if entry.startswith(name)]
        assert mine == [f"{name}{number}" for number in range(100)]
