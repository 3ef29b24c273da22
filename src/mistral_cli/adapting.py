"""What the two towers say to each other of adapters: plain data and one protocol. Imports nothing above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterInfo:
    """A LoRA adapter that is on a model."""

    name: str
    """What it is called while it is loaded."""
    path: str
    strength: float
    """What its own scaling is multiplied with; 1 is as it was trained."""
    rank: int
    parameters: int
    base: str | None = None
    """The model it was trained on, as its trainer called it."""


class Adapters(Protocol):
    """The adapters on a loaded model; the base's weights are never touched."""

    @property
    def attached(self) -> tuple[AdapterInfo, ...]:
        """What is on the model now, in the order in which it was loaded."""
        ...

    def load(self, folder: Path, strength: float = 1.0, *, name: str | None = None) -> AdapterInfo:
        """Put an adapter onto the model; where it cannot be, everything is as it was.

        Args:
            folder: in PEFT's format.
            strength: what its own scaling is multiplied with.
            name: by default the folder's; one of that name is replaced.

        Raises:
            ModelNotFoundError: no such folder.
            CheckpointError: damaged, of an unknown kind, or for another model.
            UsageError: a strength that is no number.
        """
        ...

    def scale(self, name: str, strength: float) -> AdapterInfo:
        """Weigh an adapter anew.

        Raises:
            UsageError: none of that name is loaded, or a strength that is no number.
        """
        ...

    def off(self, name: str | None = None) -> None:
        """Take one adapter off the model, all by default: it is bit for bit as if never loaded."""
        ...
