"""What was typed before, for the arrow keys: prompt-toolkit's history, kept by whoever keeps the chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.history import History

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mistral_cli.chat.keeper import Keeper


class KeptHistory(History):
    """The entries of this terminal and those that others kept until it was opened."""

    def __init__(self, keeper: Keeper) -> None:
        super().__init__()
        self._keeper = keeper

    def load_history_strings(self) -> Iterable[str]:
        """Return every entry, the newest first."""
        return self._keeper.inputs()

    def store_string(self, string: str) -> None:
        """Keep one entry."""
        self._keeper.keep_input(string)
