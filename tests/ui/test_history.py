"""What was typed is kept: privately, whole, whoever else writes."""

from __future__ import annotations

import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mistral_cli.ui.history import PrivateHistory

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history"


def _stored(path: Path) -> list[str]:
    return list(PrivateHistory(path, pytest.fail).load_history_strings())


def test_entries_come_back_newest_first_and_whole(path: Path) -> None:
    history = PrivateHistory(path, pytest.fail)
    entries = ["one", "two\nlines\r\n", "ü \u2028 \ud800 \0", "three"]
    for entry in entries:
        history.store_string(entry)
    assert _stored(path) == entries[::-1]


def test_nothing_yet_is_an_empty_history_and_makes_no_file(path: Path) -> None:
    assert _stored(path) == []
    assert not path.exists()


def test_the_file_and_its_folder_are_private(path: Path) -> None:
    PrivateHistory(path, pytest.fail).store_string("secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_torn_entry_is_skipped_and_does_not_spoil_the_next(path: Path) -> None:
    history = PrivateHistory(path, pytest.fail)
    history.store_string("whole")
    with path.open("ab") as file:
        file.write(b'"torn \xff')
    history.store_string("next")
    with path.open("ab") as file:
        file.write(b"7\n{}\n")
    assert _stored(path) == ["next", "whole"]


def test_writers_at_the_same_time_lose_and_tear_nothing(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mistral_cli.ui.history import PrivateHistory\n"
        "history = PrivateHistory(Path(sys.argv[1]), sys.exit)\n"
        "for number in range(200): history.store_string(f'{sys.argv[2]}{number} ' + 'x' * 5000)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    stored = _stored(path)
    assert len(stored) == 600
    for name in "abc":
        mine = [entry.split()[0] for entry in reversed(stored) if entry.startswith(name)]
        assert mine == [f"{name}{number}" for number in range(200)]


def test_where_nothing_can_be_kept_it_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    said: list[str] = []
    history = PrivateHistory(tmp_path / "state" / "history", said.append)
    history.store_string("one")
    history.store_string("two")
    assert len(said) == 1
    assert "The input history cannot be kept" in said[0]
