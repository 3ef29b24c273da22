"""Prompt templates as files: the text with its places, and the options that go with it. Fills nothing in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mistral_cli.errors import UsageError
from mistral_cli.settings.options import SAMPLING
from mistral_cli.settings.sheet import read_sheet, text_of
from mistral_cli.settings.shelf import ENDING, Shelf
from mistral_cli.settings.toml_file import read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mistral_cli.settings.sheet import Sheet
    from mistral_cli.settings.toml_file import TomlFile

TEMPLATES: Final = Shelf(kind="template", folder="templates")
_OPTIONS: Final = (
    "system",
    "prefix",
    "raw",
    "trim",
    "extract",
    "model",
    *(name for name in SAMPLING if name != "logprobs"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFile:
    """What a template's file says."""

    name: str
    """As the user named it."""
    file: TomlFile
    prompt: str
    """The text, its places open."""
    sheet: Sheet
    """The options; ``system`` and ``prefix`` with their places open."""
    defaults: Mapping[str, str]
    """Field -> what stands for it where nothing else is said."""


def read_template(name: str) -> TemplateFile:
    """Return the template of that name, or in that file, where the name leads to one (``./mine.toml``).

    Raises:
        UsageError: there is none, its file is no TOML, holds no prompt, or a value that is none.
    """
    file = _open(name)
    prompt = text_of(file, "prompt")
    if not prompt.strip():
        raise UsageError(f"{file.path} holds no prompt.", 'It needs one: prompt = "Explain {{input}}"')
    return TemplateFile(
        name=name,
        file=file,
        prompt=prompt,
        sheet=read_sheet(file, _OPTIONS, others=("prompt", "fields")),
        defaults=_defaults(file),
    )


def _open(name: str) -> TomlFile:
    if os.sep not in name and not name.endswith(ENDING):
        return TEMPLATES.read(name)
    try:
        return read_toml(Path(name))
    except FileNotFoundError:
        raise UsageError(f"There is no file {name!a:.200}.", "A template is a TOML file with a prompt.") from None


def _defaults(file: TomlFile) -> dict[str, str]:
    table = file.table.get("fields", {})
    if not isinstance(table, dict):
        raise UsageError(f'{file.origin("fields")} is {table!r:.60}, but must be a table: field = "text".')
    for name, text in table.items():
        if not isinstance(text, str):
            raise UsageError(f"{file.origin(name)} is {text!r:.60}, but must be text.")
    return dict(table)
