"""``mistral history``: what a shell sees of the chats that are kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import mistral

from mistral_cli.chat.store import Store, open_store
from mistral_cli.chat.turn import Turn, TurnRecord


@pytest.fixture
def store() -> Store:
    return open_store(Path(os.environ["MISTRAL_CLI_HOME"]) / "chats.db")


@pytest.fixture
def chats(store: Store) -> Store:
    record = TurnRecord(model="fake", when="2026-01-31T12:00:00Z", params={"logit_bias": {7: 1.0}})
    for question, answer in (("What is a cat?", "An animal \x1b[31m."), ("And a dog?", "A\nfriend")):
        session = store.new_session(question=question)
        store.add_turn(session.id, Turn(question=question, answer=answer, reason="cancelled", record=record))
    return store


def test_chats_are_listed_the_last_at_the_end(chats: Store, capfd) -> None:
    outcome = mistral(capfd, "history")
    assert outcome.code == 0
    assert [line.split()[-3:] for line in outcome.out.splitlines()] == [
        ["1", "fake", "what-is-a-cat"],
        ["1", "fake", "and-a-dog"],
    ]


def test_as_json_every_action_is_one_object(chats: Store, capfd) -> None:
    listed = json.loads(mistral(capfd, "history", "list", "--json").out)
    assert [chat["name"] for chat in listed["chats"]] == ["what-is-a-cat", "and-a-dog"]
    shown = json.loads(mistral(capfd, "history", "show", "what-is-a-cat", "--json").out)
    assert shown["messages"][1] == {"role": "assistant", "content": "An animal \x1b[31m."}
    assert shown["turns"][0]["reason"] == "cancelled"
    found = json.loads(mistral(capfd, "history", "search", "friend", "--json").out)
    assert [hit["session"] for hit in found["hits"]] == ["and-a-dog"]
    assert json.loads(mistral(capfd, "history", "path", "--json").out) == {"path": str(chats.path)}
    removed = json.loads(mistral(capfd, "history", "remove", "last", "--yes", "--json").out)
    assert removed == {"removed": ["and-a-dog"], "turns": 1}
    assert [session.name for session in chats.sessions()] == ["what-is-a-cat"]


def test_without_a_chat_there_is_nothing_and_no_file_is_made(capfd) -> None:
    assert mistral(capfd, "history", "list").out == ""
    assert mistral(capfd, "history", "show").code == 3
    assert mistral(capfd, "history", "search", "x").out == ""
    assert not Path(mistral(capfd, "history", "path").out.strip()).exists()


def test_a_chat_is_shown_as_it_was_and_the_last_one_without_a_name(chats: Store, capfd) -> None:
    assert mistral(capfd, "history", "show", "what-is-a-cat").out.startswith(
        "> What is a cat?\n\nAn animal \x1b[31m.\n"
    )
    assert "(stopped)" in mistral(capfd, "history", "show").out


@pytest.mark.parametrize(("flags", "begins"), [((), "> And"), (("--as", "json"), "{"), (("--json",), "{")])
def test_a_chat_is_exported_to_stdout(chats: Store, capfd, flags: tuple[str, ...], begins: str) -> None:
    assert mistral(capfd, "history", "export", "last", *flags).out.startswith(begins)


def test_a_chat_is_exported_into_a_file_in_the_form_that_its_name_says(chats: Store, capfd, tmp_path: Path) -> None:
    for name, begins in (("a.json", '{"messages"'), ("a.md", "> And"), ("a.txt", "> And")):
        outcome = mistral(capfd, "history", "export", "-o", str(tmp_path / name))
        assert (outcome.code, outcome.out) == (0, "")
        assert (tmp_path / name).read_text().startswith(begins)


def test_nothing_is_removed_unasked(chats: Store, capfd) -> None:
    outcome = mistral(capfd, "history", "remove", "last")
    assert outcome.code == 2
    assert "--yes" in outcome.err
    assert len(chats.sessions()) == 2


def test_an_unknown_name_is_told_with_the_nearest_and_removes_nothing(chats: Store, capfd) -> None:
    outcome = mistral(capfd, "history", "remove", "last", "and-a-dot", "-y")
    assert outcome.code == 3
    assert "Did you mean and-a-dog?" in outcome.err
    assert len(chats.sessions()) == 2


@pytest.mark.parametrize("name", ["../../x", "CON", "x" * 300, "-rf", ""])
@pytest.mark.parametrize("action", ["show", "export", "remove"])
def test_a_name_that_can_be_none_is_a_wrong_use(chats: Store, capfd, action: str, name: str) -> None:
    outcome = mistral(capfd, "history", action, "--", name)
    assert outcome.code == 2
    assert "cannot be the name of a chat" in outcome.err
    assert mistral(capfd, "history", action, "-rf").code == 2


@pytest.mark.parametrize("words", [("list", "x"), ("search",), ("remove",), ("show", "a", "b"), ("path", "x")])
def test_too_many_or_too_few_words_are_a_wrong_use(capfd, words: tuple[str, ...]) -> None:
    assert mistral(capfd, "history", *words).code == 2


def test_it_imports_neither_tensors_nor_a_keyboard(chats: Store) -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mistral_cli", "history", "search", "dog"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in run.stderr.splitlines() if "|" in line}
    assert not imported & {"torch", "transformers", "numpy", "prompt_toolkit", "huggingface_hub", "mistral_common"}
    assert "and-a-dog" in run.stdout
