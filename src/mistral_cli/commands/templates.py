"""``mistral templates``: the prompt templates that ``gen --template`` knows, listed and shown. Loads no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from mistral_cli.commands.shelf import Look
from mistral_cli.commands.start import start
from mistral_cli.commands.template import template_fields
from mistral_cli.settings.templates import TEMPLATES, read_template


def templates(
    ctx: typer.Context,
    action: Annotated[Literal["list", "show", "path"], typer.Argument(metavar="ACTION")] = "list",
    name: Annotated[str | None, typer.Argument(metavar="TEMPLATE", show_default=False, help="Which template.")] = None,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the templates that `gen --template` knows (`list`), show one (`show`), or where they lie (`path`).

    A template is a TOML file: `prompt`, a text with places. {{input}} takes the prompt, the files and stdin,
    {{prompt}} and {{stdin}} one of them, and {{anything}} else is a field that --set gives (or [fields], a table of
    defaults). {{{{ stands for two braces. Beside it: `system`, `prefix`, `raw`, `trim`, `extract`, `model`,
    `description` and any sampling parameter, in the words of config.toml.
    """
    _settings, console = start(ctx)

    def read(template: str) -> Mapping[str, Any]:
        found = read_template(template)
        for text in found.sheet.warnings:
            console.warning(text)
        fields = {field: found.defaults.get(field) for field in template_fields(found)}
        said = {"description": found.sheet.description, "prompt": found.prompt, "fields": fields}
        return {**said, "options": found.sheet.values}

    Look(shelf=TEMPLATES, console=console, name=name, as_object=as_object, read=read).do(action)
