"""``mistral roles``: the roles that ``--role`` knows, listed and shown. Loads no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from mistral_cli.commands.shelf import Look
from mistral_cli.commands.start import start
from mistral_cli.settings.roles import ROLES, read_role


def roles(
    ctx: typer.Context,
    action: Annotated[Literal["list", "show", "path"], typer.Argument(metavar="ACTION")] = "list",
    name: Annotated[str | None, typer.Argument(metavar="ROLE", show_default=False, help="Which role.")] = None,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the roles that `--role` knows (`list`), show one (`show`), or where they lie (`path`).

    A role is a TOML file: `system`, the system prompt, and any sampling parameter, in the words of config.toml;
    `model` and `description` where wanted. Flags win over the role, the role over config.toml.
    """
    _settings, console = start(ctx)

    def read(role: str) -> Mapping[str, Any]:
        sheet = read_role(role)
        for text in sheet.warnings:
            console.warning(text)
        return {"description": sheet.description, "options": sheet.values}

    Look(shelf=ROLES, console=console, name=name, as_object=as_object, read=read).do(action)
