"""Who answers a chat that goes on: the model that answered last, with its adapters, unless a flag names others.

Loads none of them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.chat.conversation import Conversation
    from mistral_cli.chat.turn import TurnRecord


def with_own_model(settings: Settings, conversation: Conversation, console: Console) -> Settings:
    """Return the settings with the model that answered last, where the chat goes on and no flag names a model.

    The adapters that were on it are put there when it is loaded, instead of those that no flag names.

    A model that is not on this disk any more is said, with who answers instead: what a new chat would get.
    """
    path = conversation.path()
    if settings.resume is None or not path:
        return settings
    if not is_flag(settings, "adapter"):
        settings = replace(settings, adapter=())
    if is_flag(settings, "model"):
        return settings
    record = path[-1].record
    name = _at_hand(record)
    if name is None and record.model:
        console.notice(f"{record.model}, which answered so far, is not on this disk any more.")
    return settings if name is None else replace(settings, model=name, revision=None)


def is_flag(settings: Settings, option: str) -> bool:
    """Tell whether an option was given on the command line."""
    return settings.origins.get(option, "").startswith("--")


def _at_hand(record: TurnRecord) -> str | None:
    """Return the name by which the model of a turn is found, or None: a hub id, ``builtin``, or its very folder.

    A folder's name may have been told from another place than where we are now, so its whole path counts.
    """
    from mistral_cli.weights.hub import BUILTIN, is_cached

    if record.model == BUILTIN or is_cached(record.model):
        return record.model
    return record.identity if record.identity and Path(record.identity).is_dir() else None
