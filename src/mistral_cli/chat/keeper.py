"""Keeps a chat's turns as they come, and lets the chat go on where nothing can be kept. Knows no terminal."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mistral_cli.chat.inputs import append_input, inputs
from mistral_cli.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.chat.conversation import Conversation
    from mistral_cli.chat.session import Session
    from mistral_cli.chat.store import Store
    from mistral_cli.chat.turn import Turn


@dataclass(slots=True, kw_only=True)
class Keeper:
    """What a chat hands its turns to.

    A turn that could not be kept is kept together with the next one that can: a full disk may be emptied meanwhile.
    """

    store: Store | None = None
    """None: nothing is kept."""
    session: Session | None = None
    """The chat in the store, from its first turn on."""
    role: str = ""
    """The role that answers in the chat; empty: none."""
    warn: Callable[[str], None] = lambda _text: None
    """Told once that nothing can be kept, and why."""
    _waiting: dict[int, Turn] = field(default_factory=dict)
    """Turns that are not on the disk yet, by the ids they have in the conversation."""
    _stored: dict[int, int] = field(default_factory=dict)
    """The store's ids of turns that have another in the conversation."""
    _failure: str = ""
    _has_warned: bool = False

    def keep(self, turn: Turn) -> Turn:
        """Put a turn on the disk; return it as the conversation is to hold it, with the store's id if it has one."""
        if self.store is None:
            return turn
        self._waiting[turn.id] = turn
        try:
            return replace(turn, id=self._keep_waiting(self.store, turn.id))
        except StoreError as error:
            self._fail(error)
            self.say()
            return turn

    def stand_at(self, conversation: Conversation) -> None:
        """Remember the branch that the talk went to, and its system prompt."""
        leaf = conversation.leaf
        leaf = leaf if leaf is None else self._stored.get(leaf, leaf)
        if self.store is None or self.session is None or (leaf is not None and leaf < 0):
            return
        try:
            self.store.stand_at(self.session.id, leaf, conversation.system)
        except StoreError as error:
            self._fail(error)
            self.say()

    def take_role(self, name: str) -> None:
        """Remember the role that answers from now on; empty: none."""
        self.role = name
        if self.store is None or self.session is None:
            return
        try:
            self.store.set_role(self.session.id, name)
        except StoreError as error:
            self._fail(error)
            self.say()

    def keep_input(self, text: str) -> None:
        """Put what was typed on the disk; a failure waits for ``say``, as the line is still being edited."""
        try:
            if self.store is not None:
                append_input(self.store, text)
        except StoreError as error:
            self._fail(error)

    def inputs(self) -> list[str]:
        """Return what was typed in this chat's terminal and others, the newest first; nothing where it is not kept."""
        try:
            return [] if self.store is None else inputs(self.store)
        except StoreError as error:
            self._fail(error)
            return []

    def say(self) -> None:
        """Say once that something could not be kept, if it was so."""
        if self._failure and not self._has_warned:
            self.warn(self._failure)
            self._has_warned = True

    def _keep_waiting(self, store: Store, last: int) -> int:
        """Store all that waits, at once or not at all; return the id that ``last`` has there."""
        stored = dict(self._stored)
        session = self.session
        with store.together():
            for turn in self._waiting.values():
                if session is None:
                    session = store.new_session(
                        question=turn.question, system=turn.system, role=self.role, model=turn.record.model
                    )
                parent = None if turn.parent is None else stored.get(turn.parent, turn.parent)
                stored[turn.id] = store.add_turn(session.id, replace(turn, parent=parent)).id
        self.session, self._stored = session, stored
        self._waiting.clear()
        return stored[last]

    def _fail(self, error: StoreError) -> None:
        self._failure = f"{error} The chat goes on, but is not kept."
        if self._is_deleted():
            self._failure = "This chat was deleted meanwhile, so it is not kept any more. /new begins one that is."

    def _is_deleted(self) -> bool:
        """Tell whether another terminal deleted this chat."""
        try:
            return self.store is not None and self.session is not None and not self.store.holds(self.session.id)
        except StoreError:
            return False
