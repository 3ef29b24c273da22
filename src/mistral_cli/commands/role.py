"""The role that answers: chosen, and laid over the settings. Loads no model."""

from __future__ import annotations

from mistral_cli.settings.options import Settings
from mistral_cli.settings.roles import read_role
from mistral_cli.settings.sheet import with_sheet
from mistral_cli.settings.shelf import NONE
from mistral_cli.ui.console import Console


def use_role(settings: Settings, console: Console) -> Settings:
    """Return the settings with what their role says, but for what flags say.

    Raises:
        UsageError: no such role, or a value in its file that is none.
    """
    if settings.role in (None, NONE):
        return settings
    role = read_role(settings.role or "")
    for text in role.warnings:
        console.warning(text)
    return with_sheet(settings, role)
