"""Where ``mistral chat`` is kept, and what it goes on from. Loads no model."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mistral_cli.errors import StoreError
from mistral_cli.settings.options import Settings
from mistral_cli.settings.places import places
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.chat.conversation import Conversation
    from mistral_cli.chat.keeper import Keeper
    from mistral_cli.chat.session import Session


def open_chat(settings: Settings, console: Console) -> tuple[Keeper, Conversation]:
    """Return what keeps the chat, and what was said in it before; where nothing can be kept, that is said.

    Args:
        settings: ``resume`` and ``store``.
        console: for what goes wrong.

    Raises:
        UsageError, SessionNotFoundError: no chat has the name to resume.
        StoreError: there is one to resume, but it cannot be read.
    """
    from mistral_cli.chat.conversation import Conversation
    from mistral_cli.chat.keeper import Keeper

    if settings.resume is not None:
        return _resumed(settings, console)
    if not settings.store:
        return Keeper(), Conversation()
    try:
        return _writing(console), Conversation()
    except StoreError as error:
        console.warning(f"{error} The chat goes on, but is not kept.")
        return Keeper(), Conversation()


def opening_line(session: Session, conversation: Conversation) -> str:
    """Return what is said of a chat that goes on."""
    path = conversation.path()
    return f"Going on with {session.name} · {len(path):,} turn{'s' * (len(path) != 1)}"


def closing_line(session: Session) -> str:
    """Return what is said at the end of a chat that is kept."""
    return f"Kept as {session.name}. Go on with: mistral chat --resume {shlex.quote(session.name)}"


def _resumed(settings: Settings, console: Console) -> tuple[Keeper, Conversation]:
    from mistral_cli.chat.keeper import Keeper
    from mistral_cli.chat.store import FILE_NAME, open_to_read

    keeper = _writing(console) if settings.store else Keeper()
    store = keeper.store or open_to_read(places().data / FILE_NAME)
    session, conversation = store.load(settings.resume or "")
    console.notice(opening_line(session, conversation))
    keeper.session, keeper.role = session if settings.store else None, session.role
    return keeper, conversation


def _writing(console: Console) -> Keeper:
    from mistral_cli.chat.inputs import take_over
    from mistral_cli.chat.keeper import Keeper
    from mistral_cli.chat.store import FILE_NAME, open_store

    store = open_store(places().data / FILE_NAME, console.warning)
    take_over(store, places().state / "history")
    return Keeper(store=store, warn=console.warning)
