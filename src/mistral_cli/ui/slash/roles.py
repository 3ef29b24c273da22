"""The role that answers in a chat: shown, taken, left. Knows no model, and of a role's file only what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError
from mistral_cli.settings.options import SAMPLING
from mistral_cli.settings.roles import ROLES, read_role
from mistral_cli.settings.shelf import NONE
from mistral_cli.ui.slash.choice import Choice, matching
from mistral_cli.ui.slash.row import SlashCommand, unquoted
from mistral_cli.ui.swap import swap_model

if TYPE_CHECKING:
    from mistral_cli.settings.sheet import Sheet
    from mistral_cli.ui.repl import Repl


def go_on_as(repl: Repl, name: str) -> None:
    """Draw as the role of a kept chat does, or as none; its system prompt is the chat's own."""
    _leave(repl)
    if not name:
        return
    try:
        _draw_as(repl, _read(repl, name))
    except UsageError as error:
        repl.console.notice(f"{error.message} The chat goes on without its parameters.")


def _role(repl: Repl, words: str) -> None:
    """Show the role, take another, or none."""
    name = unquoted(words)
    if not name:
        repl.console.line(repl.keeper.role or "(no role)")
    elif name == NONE:
        system = repl.before_role[1] if repl.before_role else repl.conversation.system
        _leave(repl)
        _be(repl, "", system)
        repl.console.notice("No role any more.")
    else:
        _take(repl, name)
        repl.console.notice(f"{name} answers from now on: its system prompt and its parameters.")


def _take(repl: Repl, name: str) -> None:
    role = _read(repl, name)
    model = role.values.get("model")
    if model is not None and model != repl.backend.info.name:
        swap_model(repl, model)
    plain = repl.before_role[1] if repl.before_role else repl.conversation.system
    _leave(repl)
    _draw_as(repl, role, plain)
    _be(repl, name, role.values.get("system", plain))


def _read(repl: Repl, name: str) -> Sheet:
    role = read_role(name)
    for text in role.warnings:
        repl.console.warning(text)
    return role


def _draw_as(repl: Repl, role: Sheet, system: str = "") -> None:
    repl.before_role = (repl.params, system)
    repl.params = repl.params.with_values({key: value for key, value in role.values.items() if key in SAMPLING})


def _leave(repl: Repl) -> None:
    if repl.before_role is not None:
        repl.params, _ = repl.before_role
        repl.before_role = None


def _be(repl: Repl, name: str, system: str) -> None:
    repl.stand(replace(repl.conversation, system=system))
    repl.keeper.take_role(name)


def _look() -> list[Choice]:
    return [Choice(NONE, "no role"), *(Choice(name, _about(name)) for name in ROLES.names())]


def _about(name: str) -> str:
    try:
        return read_role(name).description
    except UsageError as error:
        return error.message


def _complete(repl: Repl, typed: str) -> list[Choice]:
    return matching(typed, repl.looked_up("roles", _look))


COMMANDS = (
    SlashCommand(
        "/role", "[NAME|none]", "Show who answers, or let another role do so (`mistral roles`).", _role, _complete
    ),
)
