"""What the store tells of its chats. Plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One chat that is kept."""

    id: int
    name: str
    system: str = ""
    """The system prompt of its next question."""
    role: str = ""
    """The role that answers; empty: none."""
    leaf: int | None = None
    """The turn where the talk stands."""
    model: str = ""
    """Who answered last."""
    created: str = ""
    changed: str = ""
    """When the last turn came, in UTC."""
    turns: int = 0
    """How many turns it holds, all branches together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A turn that holds what was searched."""

    session: str
    """The chat's name."""
    turn: int
    when: str
    question: str
    excerpt: str
    """The words around the first place."""
