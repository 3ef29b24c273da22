"""``mistral data from-history``: kept chats as a file to learn from."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command_line import mistral

from mistral_cli.chat.store import Store, open_store
from mistral_cli.chat.turn import Turn

if TYPE_CHECKING:
    from mistral_cli.contract import Reason


@pytest.fixture
def store() -> Store:
    return open_store(Path(os.environ["MISTRAL_CLI_HOME"]) / "chats.db")


def talk(store: Store, name: str, *reasons: Reason) -> None:
    session, parent = store.new_session(name), None
    for number, reason in enumerate(reasons):
        turn = Turn(parent=parent, question=f"{name} {number}?", answer=f"Answer {number} \x1b[31m.", reason=reason)
        parent = store.add_turn(session.id, turn).id


@pytest.fixture
def chats(store: Store) -> Store:
    talk(store, "cats", "stop", "stop")
    talk(store, "dogs", "stop", "cancelled")
    return store


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_all_chats_go_to_stdout_a_conversation_a_line(chats: Store, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = mistral(capfd, "data", "from-history")
    assert outcome.code == 0
    assert [len(row["messages"]) for row in rows(outcome.out)] == [4, 2]
    assert rows(outcome.out)[0]["messages"][1] == {"role": "assistant", "content": "Answer 0 \x1b[31m."}
    assert "3 answers of 2 chats, in 2 conversations, are on stdout." in outcome.err
    assert "1 answer did not come to an end and was left out (--unfinished takes them)." in outcome.err


def test_chats_are_chosen_by_name_and_by_words(chats: Store, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (("cats",), ("--search", "cats"), ("cats", "dogs", "cats", "--search", "cat")):
        outcome = mistral(capfd, "data", "from-history", *arguments)
        assert [row["messages"][0]["content"] for row in rows(outcome.out)] == ["cats 0?"]
    last = mistral(capfd, "data", "from-history", "last", "--unfinished")
    assert len(rows(last.out)[0]["messages"]) == 4


def test_a_file_is_private_and_what_check_reads(
    chats: Store, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "chats.jsonl"
    path.touch(mode=0o644)
    outcome = mistral(capfd, "data", "from-history", "-o", str(path), "--json")
    told = json.loads(outcome.out)
    assert told == {"file": str(path), "chats": 2, "conversations": 2, "answers": 3, "left_out": 1}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    checked = json.loads(mistral(capfd, "data", "check", str(path), "--json").out)
    assert (checked["kinds"], checked["samples"]) == ({"chat": 2}, 3)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("birds",), 3, "no chat called 'birds'"),
        (("--search", "birds"), 1, "No chat holds that."),
        (("../x",), 2, "cannot be the name of a chat"),
        (("--json",), 2, "Name a file: -o chats.jsonl"),
        (("--json", "-o", "-"), 2, "Name a file: -o chats.jsonl"),
        (("-o", "/dev/full"), 1, "No space left on device"),
    ],
)
def test_what_cannot_be_is_told(
    chats: Store, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    outcome = mistral(capfd, "data", "from-history", *arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert words in outcome.err


def test_where_there_is_nothing_no_file_is_made(
    store: Store, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "chats.jsonl"
    outcome = mistral(capfd, "data", "from-history", "-o", str(path))
    assert (outcome.code, path.exists()) == (1, False)
    assert "There is no chat to learn from." in outcome.err
    talk(store, "cats", "loop")
    outcome = mistral(capfd, "data", "from-history", "-o", str(path))
    assert (outcome.code, path.exists()) == (1, False)
    assert "--unfinished takes them as they are." in outcome.err
