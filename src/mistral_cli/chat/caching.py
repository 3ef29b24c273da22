"""What a chat asks of whoever keeps what models computed of it, and nobody who does. Knows no tensor and no file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mistral_cli.chat.keeper import Keeper
    from mistral_cli.chat.session import Session
    from mistral_cli.contract import Backend


class Caches(Protocol):
    """Puts the cache of a chat aside when it is left, so that a long one goes on later without being read again."""

    def enter(self, backend: Backend) -> None:
        """Let the next prompt, of a chat that goes on, take what was put aside."""
        ...

    def leave(self, backend: Backend, keeper: Keeper) -> None:
        """Put aside what was computed of the chat that is left, if it is kept at all. Never an error: it is said."""
        ...

    def forget(self, *sessions: Session) -> None:
        """Remove what was put aside of chats that are deleted."""
        ...


@dataclass(frozen=True, slots=True)
class NoCaches:
    """Keeps none."""

    def enter(self, backend: Backend) -> None:
        """Leave the next prompt as it is."""

    def leave(self, backend: Backend, keeper: Keeper) -> None:
        """Put nothing aside."""

    def forget(self, *sessions: Session) -> None:
        """Have nothing to remove."""
