"""A chat that was kept and resumed by a fresh model says next what the uninterrupted one says, id by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes import fake_console
from mistral_cli.backends.native import load_native
from mistral_cli.chat.conversation import Conversation
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import open_store
from mistral_cli.contract import SamplingParams
from mistral_cli.ui.repl import Repl
from mistral_cli.weights.hub import builtin_path

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.chat.turn import Turn

QUESTIONS = ("What is a KV cache?", "And a sliding window?", "How do I set a system prompt?")


def _talk(questions: tuple[str, ...], keeper: Keeper, conversation: Conversation) -> tuple[Turn, ...]:
    lines = iter((*questions, "/exit"))
    repl = Repl(
        backend=load_native(builtin_path(), name="builtin", device="cpu"),
        params=SamplingParams(temperature=0.8, seed=7, max_tokens=40),
        console=fake_console(),
        read=lambda: next(lines),
        keeper=keeper,
        conversation=conversation,
    )
    repl.run()
    return repl.conversation.path()


def test_a_resumed_chat_goes_on_as_one_that_was_never_left(tmp_path: Path) -> None:
    begun = Conversation(system="Be brief.")
    whole = _talk(QUESTIONS, Keeper(), begun)
    store = open_store(tmp_path / "chats.db")
    _talk(QUESTIONS[:2], Keeper(store=store), begun)
    store.close()
    store = open_store(tmp_path / "chats.db")
    session, conversation = store.load("last")
    resumed = _talk(QUESTIONS[2:], Keeper(store=store, session=session), conversation)
    assert [(turn.answer, turn.ids) for turn in resumed] == [(turn.answer, turn.ids) for turn in whole]
    assert len(store.sessions()) == 1
    store.close()
