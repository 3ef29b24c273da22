"""What every command does first: settle the settings, open the console. Knows no command and loads no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import typer

from mistral_cli.settings.load import load_settings
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console


@dataclass(slots=True, kw_only=True)
class Invocation:
    """What the roof must know when a command has failed: how to say so, and where."""

    color: str | None = None
    debug: bool | None = None
    console: Console | None = None
    """What the command writes through, once it is open."""


def start(ctx: typer.Context, flags: Mapping[str, object] | None = None) -> tuple[Settings, Console]:
    """Merge ``flags`` (name -> value, None: not given) into the settings; open the console and say the warnings.

    Raises:
        UsageError: a value in the config file, the environment or the flags that is none.
    """
    invocation: Invocation = ctx.obj
    settings = load_settings({**(flags or {}), "color": invocation.color, "debug": invocation.debug})
    invocation.color, invocation.debug = settings.color, settings.debug
    console = invocation.console = Console.open(choice=settings.color, quiet=settings.quiet)
    for text in settings.warnings:
        console.warning(text)
    return settings, console
