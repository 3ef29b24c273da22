"""How a flag of ours is made, and the headings of the help. Knows no flag.

``parser=str`` leaves it to the settings to read a value: they replace or keep what is not UTF-8, and say what a number
must be in the same words wherever it was set.
"""

from __future__ import annotations

from typing import Any

import typer

from mistral_cli.limits import LIMITS

PROMPT = "Prompt"
MODEL = "Model"
SAMPLING = "Sampling"
ANSWER = "Answer"
DATA = "Data"


def text_flag(*names: str, panel: str, text: str, metavar: str = "TEXT") -> Any:
    """Return a flag that takes a text."""
    return typer.Option(*names, parser=str, metavar=metavar, help=text, rich_help_panel=panel)


def switch(*names: str, panel: str, text: str) -> Any:
    """Return a flag that is on or off."""
    return typer.Option(*names, help=text, rich_help_panel=panel)


def number(*names: str, panel: str, text: str, metavar: str = "NUMBER") -> Any:
    """Return a flag that takes a number; its range, if it has one, stands in the help."""
    limit = LIMITS.get(names[-1].removeprefix("--").replace("-", "_"))
    shown = f"{text} ({limit})" if limit else text
    return typer.Option(*names, parser=str, metavar=metavar, help=shown, rich_help_panel=panel)
