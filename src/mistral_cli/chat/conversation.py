"""What was said so far: an immutable tree of turns, and the messages a model is sent of one line through it.

Whatever replaces an answer (another try, an edited question) is a branch beside it, so nothing is lost. Knows no model,
no file and no terminal.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from mistral_cli.chat.turn import Turn, TurnRecord
from mistral_cli.contract import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mistral_cli.contract import Done, TokenInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Turns by their ids, and where in them the talk stands."""

    turns: Mapping[int, Turn] = field(default_factory=lambda: MappingProxyType({}))
    """Every turn of every branch; a parent comes before its children."""
    leaf: int | None = None
    """The turn that the next question follows; None: it is the first."""
    system: str = ""
    """The system prompt of the next question."""

    def path(self) -> tuple[Turn, ...]:
        """Return the turns from the first to the leaf."""
        found: list[Turn] = []
        at = self.leaf
        while at is not None:
            found.append(self.turns[at])
            at = self.turns[at].parent
        return tuple(reversed(found))

    def prompt(self, question: str, *, left_out: int = 0) -> tuple[Message, ...]:
        """Return what a model is sent to answer ``question`` after the leaf, without the ``left_out`` oldest turns."""
        system = (Message(role="system", content=self.system),) if self.system else ()
        said = tuple(message for turn in self.path()[left_out:] for message in turn.messages())
        return (*system, *said, Message(role="user", content=question))

    def answered(
        self, question: str, done: Done, record: TurnRecord | None = None, tokens: tuple[TokenInfo, ...] = ()
    ) -> Turn | None:
        """Return the turn that follows the leaf (not yet in the tree); None where the answer is empty.

        An empty answer cannot be sent again: every chat format refuses one.
        """
        if not done.text:
            return None
        return Turn(
            id=min((0, *self.turns)) - 1,
            parent=self.leaf,
            question=question,
            answer=done.text,
            ids=done.ids if done.stop is None else (),  # the stop string is among its ids, but no part of the answer
            reason=done.reason,
            tokens=tokens,
            system=self.system,
            record=record or TurnRecord(),
        )

    def with_turn(self, turn: Turn) -> Conversation:
        """Return the conversation with ``turn`` in it, standing there. A turn without an id is given a negative one.

        Raises:
            KeyError: its parent is not in the tree.
        """
        if turn.parent is not None and turn.parent not in self.turns:
            raise KeyError(turn.parent)
        turn = turn if turn.id else replace(turn, id=min((0, *self.turns)) - 1)
        return replace(self, turns=MappingProxyType({**self.turns, turn.id: turn}), leaf=turn.id, system=turn.system)

    def at(self, leaf: int | None) -> Conversation:
        """Return the conversation standing at another turn, with the system prompt of that turn.

        Raises:
            KeyError: there is no such turn.
        """
        return replace(self, leaf=leaf, system=self.system if leaf is None else self.turns[leaf].system)

    def undone(self) -> Conversation:
        """Return the conversation as it stood before the leaf's question; the turn stays in the tree."""
        if self.leaf is None:
            return self
        last = self.turns[self.leaf]
        return replace(self, leaf=last.parent, system=last.system)

    def leaves(self) -> tuple[Turn, ...]:
        """Return the ends of all branches, in the order in which they were made."""
        parents = {turn.parent for turn in self.turns.values()}
        return tuple(turn for turn in self.turns.values() if turn.id not in parents)
