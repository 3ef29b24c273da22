"""TAB behind ``mistral data``: chats where data is made of them, nothing of ours (so files) where it is checked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mistral_cli.chat.store import open_store
from mistral_cli.chat.turn import Turn
from mistral_cli.commands.completion.names import main


@pytest.mark.parametrize(("action", "names"), [("from-history", ["last", "cats"]), ("check", [])])
def test_chats_are_offered_where_data_is_made_of_them(
    action: str, names: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    store = open_store(Path(os.environ["MISTRAL_CLI_HOME"]) / "chats.db")
    store.add_turn(store.new_session("cats").id, Turn(question="Q", answer="A"))
    main("lessons", ["data", action, ""])
    assert [line.split("\t")[0] for line in capfd.readouterr().out.splitlines()] == names
