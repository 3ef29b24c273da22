"""Chats for the tests of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.chat.turn import Turn, TurnRecord
from mistral_cli.contract import TokenInfo

if TYPE_CHECKING:
    from mistral_cli.chat.session import Session
    from mistral_cli.chat.store import Store

FULL = Turn(
    question="What is ü?\0\n",
    answer="A letter \x1b[31m \u202e 😀",
    ids=(0, 7, 131_071),
    reason="cancelled",
    tokens=(TokenInfo(id=7, text="A", logprob=-0.25, top=((7, "A", -0.25), (9, "B", -2.5))),),
    system="Be brief.",
    record=TurnRecord(
        params={"temperature": 0.5, "stop": ["END"]},
        model="fake",
        identity="/models/fake",
        quantization="nf4",
        prompt_tokens=12,
        reused_tokens=5,
        answer_tokens=3,
        seconds_to_first_token=0.125,
        tokens_per_second=40.5,
        seed=2**63 - 1,
        when="2026-01-31T12:00:00Z",
    ),
)


def talk(store: Store, *questions: str, name: str | None = None, parent: int | None = None) -> Session:
    """Keep a chat of ``questions`` and their answers."""
    session = store.new_session(name, question=questions[0] if questions else "", leaf=parent)
    for question in questions:
        turn = Turn(parent=parent, question=question, answer=f"To {question}", ids=(5, 6), system="Be brief.")
        parent = store.add_turn(session.id, turn).id
    return session
