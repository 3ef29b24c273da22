"""The role that answers: chosen, and laid over the settings. Loads no model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mistral_cli.commands.prompt import Reader, read_system
from mistral_cli.errors import UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.settings.roles import read_role
from mistral_cli.settings.sheet import Sheet, asked_by, is_flag, with_sheet
from mistral_cli.settings.shelf import NONE
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.chat.conversation import Conversation
    from mistral_cli.chat.keeper import Keeper


def use_role(settings: Settings, console: Console) -> Settings:
    """Return the settings with what their role says, but for what flags say.

    Raises:
        UsageError: no such role, or a value in its file that is none.
    """
    with asked_by(settings, "role"):
        return with_sheet(settings, _read(_named(settings), console))


def begin_role(
    settings: Settings, keeper: Keeper, conversation: Conversation, reader: Reader
) -> tuple[Settings, Conversation]:
    """Return the settings with the role of a chat, and the chat with its system prompt; ``keeper`` takes the role.

    A chat that goes on keeps its role and its system prompt, unless flags say others.

    Raises:
        UsageError: no such role, or a value in its file that is none; a system prompt that cannot be read.
    """
    if settings.resume is not None and not is_flag(settings, "role"):
        sheet = _read_old(keeper.role, reader.console)
    else:
        with asked_by(settings, "role"):
            sheet = _read(_named(settings), reader.console)
        keeper.take_role(_named(settings))
    changes_system = settings.resume is None or is_flag(settings, "system") or is_flag(settings, "system_file")
    if is_flag(settings, "role"):
        changes_system |= "system" in sheet.values or not keeper.role
    settings = with_sheet(settings, sheet)
    return settings, replace(conversation, system=read_system(settings, reader)) if changes_system else conversation


def _named(settings: Settings) -> str:
    """Return the name of the role that is asked for; empty: none.

    Raises:
        UsageError: an empty name.
    """
    if settings.role == "":
        raise UsageError(f"The name of the role is empty; {NONE} is no role.")
    return "" if settings.role in (None, NONE) else settings.role or ""


def _read(name: str, console: Console) -> Sheet:
    sheet = read_role(name) if name else Sheet()
    for text in sheet.warnings:
        console.warning(text)
    return sheet


def _read_old(name: str, console: Console) -> Sheet:
    """Return what the role of a kept chat says of parameters: who answers and the system prompt are the chat's own."""
    try:
        sheet = _read(name, console)
    except UsageError as error:
        console.notice(f"{error.message} The chat goes on without its parameters.")
        return Sheet()
    return replace(sheet, values={key: value for key, value in sheet.values.items() if key not in ("model", "system")})
