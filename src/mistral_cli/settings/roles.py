"""Roles: who answers, and how. A file with a system prompt, parameters and, where wanted, a model. Knows no chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mistral_cli.settings.options import SAMPLING
from mistral_cli.settings.sheet import read_sheet
from mistral_cli.settings.shelf import Shelf

if TYPE_CHECKING:
    from mistral_cli.settings.sheet import Sheet

ROLES: Final = Shelf(kind="role", folder="roles")
_OPTIONS: Final = ("system", "model", *(name for name in SAMPLING if name != "logprobs"))


def read_role(name: str) -> Sheet:
    """Return the role of that name.

    Raises:
        UsageError: there is none, its file is no TOML, or a value in it is none.
    """
    return read_sheet(ROLES.read(name), _OPTIONS)
