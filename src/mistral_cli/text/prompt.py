"""A conversation as ids: what ``template`` makes. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Author = Literal["control", "system", "user", "assistant", "tool"]
"""Who wrote an id. ``control`` is the chat format itself; an answer's EOS is the assistant's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPrompt:
    """The ids of a prompt, and who wrote each."""

    ids: tuple[int, ...]
    authors: tuple[Author, ...]
    """As many as ``ids``."""
