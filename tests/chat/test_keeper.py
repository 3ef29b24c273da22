"""What keeps a chat's turns, where the chat itself is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.chat.conversation import Conversation
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import open_store
from mistral_cli.contract import Done

if TYPE_CHECKING:
    from pathlib import Path


def _said(keeper: Keeper, conversation: Conversation, question: str) -> Conversation:
    turn = conversation.answered(question, Done(reason="stop", text=f"To {question}"))
    assert turn is not None
    return conversation.with_turn(keeper.keep(turn))


def test_a_chat_that_another_terminal_deleted_says_so_and_stays_deleted(tmp_path: Path) -> None:
    said: list[str] = []
    store = open_store(tmp_path / "chats.db")
    keeper = Keeper(store=store, warn=said.append)
    conversation = _said(keeper, Conversation(), "one")
    other = open_store(tmp_path / "chats.db")
    other.delete(other.find("one").id)
    conversation = _said(keeper, conversation, "two")
    conversation = _said(keeper, conversation, "three")
    assert said == ["This chat was deleted meanwhile, so it is not kept any more. /new begins one that is."]
    assert [turn.question for turn in conversation.path()] == ["one", "two", "three"]
    assert store.read("SELECT count(*) FROM turns") == [(0,)]
