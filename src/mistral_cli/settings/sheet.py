"""Options from a file that the user names: above config and environment, below the flags. Knows no use of them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mistral_cli.errors import UsageError
from mistral_cli.settings.load import read_option, unknown_keys
from mistral_cli.settings.options import ONE_OF_TWO, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from mistral_cli.settings.options import Settings
    from mistral_cli.settings.toml_file import TomlFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What one file says."""

    description: str = ""
    """One line for lists."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Option -> value."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Option -> file, line and key."""
    warnings: tuple[str, ...] = ()


def read_sheet(file: TomlFile, options: Collection[str], others: Collection[str] = ()) -> Sheet:
    """Read the ``options`` of a file; ``others`` are keys that are not read here.

    Raises:
        UsageError: a value that is none, with the file and the line.
    """
    given = [name for name in file.table if name in options]
    origins = {name: file.origin(name) for name in given}
    return Sheet(
        description=text_of(file, "description"),
        values={name: read_option(name, file.table[name], origins[name]) for name in given},
        origins=origins,
        warnings=unknown_keys(file, ("description", *options, *others)),
    )


def text_of(file: TomlFile, key: str) -> str:
    """Return the text under ``key``; empty where it is not there.

    Raises:
        UsageError: it is something else, with the file and the line.
    """
    value = file.table.get(key, "")
    if not isinstance(value, str):
        raise UsageError(f"{file.origin(key)} is {value!r:.60}, but must be text.")
    return value


def with_sheet(settings: Settings, sheet: Sheet) -> Settings:
    """Return the settings with what the sheet says, but for what a flag says."""
    values: dict[str, Any] = {}
    origins = dict(settings.origins)
    for name, value in sheet.values.items():
        others = [other for pair in ONE_OF_TWO if name in pair for other in pair if other != name]
        if any(is_flag(settings, one) for one in (name, *others)):
            continue
        values |= {name: value, **{other: OPTIONS[other].default for other in others}}
        origins = {one: origin for one, origin in origins.items() if one not in others}
        origins[name] = sheet.origins[name]
    return replace(settings, **values, origins=origins)


@contextlib.contextmanager
def asked_by(settings: Settings, name: str) -> Iterator[None]:
    """Say in what goes wrong inside who asked for it by the option ``name``, unless it was a flag."""
    try:
        yield
    except UsageError as error:
        if name not in settings.origins or is_flag(settings, name):
            raise
        raise UsageError(f"{settings.origins[name]}: {error.message}", error.hint) from error


def is_flag(settings: Settings, name: str) -> bool:
    """Tell whether a flag set the option ``name``."""
    return settings.origins.get(name, "").startswith("--")
