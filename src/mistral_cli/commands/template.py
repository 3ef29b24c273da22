"""The prompt template of a one-shot: its options laid over the settings, its places filled. Loads no model."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from mistral_cli.errors import UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.settings.sheet import asked_by, with_sheet
from mistral_cli.settings.shelf import NONE
from mistral_cli.settings.templates import TEMPLATES, TemplateFile, read_template
from mistral_cli.text.fields import fields_of, fill, is_field_name
from mistral_cli.ui.console import Console

INPUTS: Final = {
    "prompt": "a prompt",
    "stdin": "stdin",
    "input": "a prompt, files or stdin",
}
"""The places that what is asked fills, and what each takes; ``input`` takes all that has no place of its own."""
_FILLED: Final = ("system", "prefix")
"""Options of a template that may have places, too, for named fields alone."""


_VERSION: Final = re.compile(r"v\d+(-tekken)?")
"""What chat formats are called, which ``--template`` does not name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template whose named fields are known."""

    name: str
    prompt: str
    fields: Mapping[str, str]

    @property
    def places(self) -> frozenset[str]:
        """Those of ``INPUTS`` that the prompt has."""
        return frozenset(INPUTS).intersection(fields_of(self.prompt))

    def fill(self, inputs: Mapping[str, str]) -> str:
        """Return the text that a model is sent.

        Args:
            inputs: what was given of ``INPUTS``, and ``files``; an empty text is as none.

        Raises:
            UsageError: a place for which nothing was given, or something given for which there is no place.
        """
        texts = {name: text for name, text in inputs.items() if text}
        rest = [text for name, text in texts.items() if name not in self.places]
        if "input" in self.places and rest:
            texts["input"] = "\n\n".join(rest)
        elif rest:
            homeless = next(name for name in texts if name not in self.places)
            raise UsageError(
                f"The template {self.name} has no place for {_called(homeless)}.",
                f"It takes {' and '.join(self.places) or 'nothing'}; {{{{input}}}} would take whatever is given.",
            )
        for name in sorted(self.places - texts.keys()):
            raise UsageError(f"The template {self.name} needs {INPUTS[name]}, and there is none.", _HOW[name])
        return fill(self.prompt, {**self.fields, **texts})


_HOW: Final = {
    "prompt": "Give it as an argument.",
    "stdin": "Pipe something into it: … | mistral gen --template …",
    "input": "Give it as an argument, with -f FILE, or on stdin.",
}


def _called(name: str) -> str:
    return {"prompt": "the prompt", "files": "files"}.get(name, name)


def use_template(settings: Settings, console: Console) -> tuple[Settings, Template | None]:
    """Return the settings with the template's options in them, and the template that they name, if any.

    Raises:
        UsageError: no such template, one that is none, or fields that are missing, unknown or not used.
    """
    if settings.template in (None, NONE):
        if settings.set and settings.origins["set"].startswith("--"):
            raise UsageError("--set needs --template.", "See `mistral templates list`.")
        return settings, None
    with asked_by(settings, "template"):
        found = _read(settings.template or "")
    for text in found.sheet.warnings:
        console.warning(text)
    fields = _fields(found, settings.set)
    values = {name: fill(value, fields) if name in _FILLED else value for name, value in found.sheet.values.items()}
    settings = with_sheet(settings, replace(found.sheet, values=values))
    return settings, Template(name=found.name, prompt=found.prompt, fields=fields)


def _read(name: str) -> TemplateFile:
    if _VERSION.fullmatch(name) and name not in TEMPLATES.names():
        raise UsageError(f"There is no template called {name!r}.", "A chat format: --chat-template.")
    return read_template(name)


def template_fields(found: TemplateFile) -> list[str]:
    """Return the names of a template's named fields, in the order of its text.

    Raises:
        UsageError: braces that begin no place, a place where none can be, or a default of no field.
    """
    texts = {"prompt": found.prompt, **{name: found.sheet.values.get(name) or "" for name in _FILLED}}
    names: dict[str, None] = {}
    for key, text in texts.items():
        for name in _places(found, key, text):
            if name not in INPUTS:
                names[name] = None
            elif key != "prompt":
                raise UsageError(f"{found.file.origin(key)} has {{{{{name}}}}}, which only the prompt can.")
    for name in found.defaults:
        if name not in names:
            raise UsageError(f"{found.file.origin(name)} is no field of the prompt.", _listed(names))
    return list(names)


def _places(found: TemplateFile, key: str, text: str) -> list[str]:
    try:
        return fields_of(text)
    except ValueError as error:
        shown = text[error.args[0] :].split("\n")[0]
        raise UsageError(
            f"{found.file.origin(key)} has {shown!r:.40}, which is no place.",
            "A place is {{name}}, of letters, digits, - and _; for two braces as they are write {{{{.",
        ) from None


def _fields(found: TemplateFile, given: Mapping[str, str]) -> dict[str, str]:
    names = template_fields(found)
    for name in given:
        if name in INPUTS:
            raise UsageError(f"--set cannot give {{{{{name}}}}}, which is {INPUTS[name]}.", _HOW[name])
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1) if is_field_name(name) else []
            hint = f"Did you mean {near[0]}? " if near else ""
            raise UsageError(f"The template {found.name} has no field {name!r:.60}.", hint + _listed(names))
    fields = {**found.defaults, **given}
    missing = [name for name in names if name not in fields]
    if missing:
        ways = " ".join(f"--set {name}=…" for name in missing)
        raise UsageError(f"The template {found.name} needs {ways}.", _listed(names))
    return fields


def _listed(names: Iterable[str]) -> str:
    text = ", ".join(names)
    return f"Its fields are: {text}." if text else "It has no fields."
