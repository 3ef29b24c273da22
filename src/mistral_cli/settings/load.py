"""Defaults < config.toml < ``MISTRAL_CLI_*`` < flags, merged into ``Settings``. Prints nothing."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mistral_cli.errors import UsageError
from mistral_cli.limits import LIMITS
from mistral_cli.settings.options import ONE_OF_TWO, OPTIONS, Settings
from mistral_cli.settings.places import PREFIX, places
from mistral_cli.settings.toml_file import read_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from mistral_cli.settings.toml_file import TomlFile

CONFIG_NAME = "config.toml"

_SHOWN: Final = 200
"""Characters of a wrong value that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """One place where options are set: name -> value, and how that place names each."""

    values: Mapping[str, object]
    origin: Callable[[str], str]
    warnings: tuple[str, ...] = ()


def load_settings(flags: Mapping[str, object] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Merge the config file, the environment and ``flags`` (None and empty lists: not given; other names ignored).

    Raises:
        UsageError: a value that is none, with its file and line, its variable or its flag.
    """
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    layers = (
        _config_layer(places(environ).config / CONFIG_NAME),
        _environment_layer(environ),
        _flag_layer(flags or {}),
    )
    for layer in layers:
        _drop_what_is_replaced(layer, values, origins)
        for name, value in layer.values.items():
            values[name] = read_option(name, value, layer.origin(name))
            origins[name] = layer.origin(name)
    warnings = [text for layer in layers for text in layer.warnings]
    warnings += [
        f"{origins[name]} is not valid UTF-8; what is not is read as U+FFFD." for name in _mended(layers, values)
    ]
    return Settings(**values, origins=origins, warnings=tuple(warnings))  # type: ignore[arg-type]


def read_option(name: str, value: object, origin: str) -> object:
    """Return the value of the option ``name`` that ``origin`` gives.

    Raises:
        UsageError: it is none; the message begins with ``origin``.
    """
    try:
        result = OPTIONS[name].metadata["read"](value)
    except ValueError as error:
        limit = f", {LIMITS[name]}" if name in LIMITS else ""
        raise UsageError(f"{origin} is {_show(value)}, but must be {error}{limit}.") from None
    if name in LIMITS and not LIMITS[name].allows(result):
        raise UsageError(f"{origin} is {result}, but must be {LIMITS[name]}.")
    return result


def _show(value: object) -> str:
    """Return a value as it was typed, or its beginning: a flag that may be repeated gives a list."""
    text = ", ".join(map(repr, value)) if isinstance(value, (list, tuple)) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _mended(layers: Sequence[_Layer], values: Mapping[str, object]) -> list[str]:
    """Return the names of texts that were not UTF-8 and now hold U+FFFD instead."""
    given = {name: value for layer in layers for name, value in layer.values.items()}
    return [name for name, value in values.items() if "\ufffd" in str(value) and "\ufffd" not in str(given[name])]


def _drop_what_is_replaced(layer: _Layer, values: dict[str, object], origins: dict[str, str]) -> None:
    for pair in ONE_OF_TWO:
        here = [name for name in pair if name in layer.values]
        if len(here) == 2:
            first, second = (layer.origin(name) for name in pair)
            raise UsageError(f"{first} and {second} are both given, but only one can be.")
        for other in set(pair) - set(here) if here else ():
            values.pop(other, None)
            origins.pop(other, None)


def _flag_layer(flags: Mapping[str, object]) -> _Layer:
    given = {name: value for name, value in flags.items() if name in OPTIONS and value not in (None, [], ())}
    return _Layer(values=given, origin=lambda name: f"--{name.replace('_', '-')}")


_NO_OPTIONS = ("HOME", "KERNEL")
"""Variables of ours that others read: where everything lives, and which variant of the CPU kernel computes."""


def _environment_layer(environ: Mapping[str, str]) -> _Layer:
    ours = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX)}
    known = {name.lower(): value for name, value in ours.items() if name.lower() in OPTIONS and value}
    unknown = [name for name in ours if name.lower() not in OPTIONS and name not in _NO_OPTIONS]
    warnings = tuple(_unknown(PREFIX + name, [PREFIX + option.upper() for option in OPTIONS]) for name in unknown)
    return _Layer(values=known, origin=lambda name: PREFIX + name.upper(), warnings=warnings)


def _config_layer(path: Path) -> _Layer:
    try:
        file = read_toml(path)
    except FileNotFoundError:
        return _Layer(values={}, origin=str)
    known = {name: value for name, value in file.table.items() if name in OPTIONS}
    return _Layer(values=known, origin=file.origin, warnings=unknown_keys(file, OPTIONS))


def check_file(file: TomlFile) -> str:
    """Return what is wrong with the first wrong option of a config file; nothing where all are as they may be."""
    known = {name: value for name, value in file.table.items() if name in OPTIONS}
    try:
        _drop_what_is_replaced(_Layer(values=known, origin=file.origin), {}, {})
        for name, value in known.items():
            read_option(name, value, file.origin(name))
    except UsageError as error:
        return error.message
    return ""


def unknown_keys(file: TomlFile, known: Collection[str]) -> tuple[str, ...]:
    """Return a warning for each key of a file that is not one of ``known``."""
    return tuple(_unknown(file.origin(name), list(known)) for name in file.table if name not in known)


def _unknown(origin: str, names: list[str]) -> str:
    near = difflib.get_close_matches(origin.rsplit(" ", 1)[-1], names, n=1)
    return f"{origin} is not an option and is ignored." + (f" Did you mean {near[0]}?" if near else "")
