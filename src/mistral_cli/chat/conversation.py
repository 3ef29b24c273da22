"""What was said so far, as turns, and the messages a model is sent. Knows no model, no file and no terminal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mistral_cli.contract import Message

if TYPE_CHECKING:
    from mistral_cli.contract import Done, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A question and its answer."""

    question: str
    answer: str
    ids: tuple[int, ...]
    """The very ids of the answer, so that the model's cache fits at the next turn."""
    reason: Reason
    """Why the answer ended: ``cancelled`` marks one that Ctrl-C cut short."""

    def messages(self) -> tuple[Message, Message]:
        """Return the turn as a model is sent it."""
        question = Message(role="user", content=self.question)
        return question, Message(role="assistant", content=self.answer, ids=self.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A system prompt and turns, the oldest first."""

    system: str = ""
    turns: tuple[Turn, ...] = ()

    def prompt(self, question: str) -> tuple[Message, ...]:
        """Return what a model is sent to answer ``question``."""
        system = (Message(role="system", content=self.system),) if self.system else ()
        said = tuple(message for turn in self.turns for message in turn.messages())
        return (*system, *said, Message(role="user", content=question))

    def with_answer(self, question: str, done: Done) -> Conversation:
        """Return the conversation with one more turn; as it was where the answer is empty.

        An empty answer cannot be sent again: every chat format refuses one.
        """
        if not done.text:
            return self
        ids = done.ids if done.stop is None else ()  # the stop string is among its ids, but no part of the answer
        turn = Turn(question=question, answer=done.text, ids=ids, reason=done.reason)
        return replace(self, turns=(*self.turns, turn))
