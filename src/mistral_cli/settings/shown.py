"""How options are shown: what each may be, its value as it may be typed again, and who set it. Changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mistral_cli.limits import LIMITS
from mistral_cli.settings.options import OPTIONS

if TYPE_CHECKING:
    from mistral_cli.settings.options import Settings


def range_of(name: str) -> str:
    """Return what an option may be, in the words that its error has."""
    try:
        OPTIONS[name].metadata["read"](object())
    except ValueError as error:
        return f"{error}, {LIMITS[name]}" if name in LIMITS else f"{error}"
    return "anything"


def choices_of(name: str) -> tuple[str, ...]:
    """Return the words that an option may be, where its range names them all; else none."""
    words = tuple(re.split(", | or ", range_of(name)))
    return words if len(words) > 1 and all(_is_read(name, word) for word in words) else ()


def _is_read(name: str, word: str) -> bool:
    try:
        OPTIONS[name].metadata["read"](word)
    except ValueError:
        return False
    return True


def value_text(value: object) -> str:
    """Return a value as a flag, a variable or ``mistral config set`` takes it; nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        rows = [f"{key}={item}" for key, item in value.items()]
        return ",".join(rows) if all(isinstance(key, int) for key in value) else json.dumps(rows, ensure_ascii=False)
    return json.dumps(list(value), ensure_ascii=False) if isinstance(value, tuple) else str(value)


def value_json(value: object) -> object:
    """Return a value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def origin_of(settings: Settings, name: str) -> str:
    """Return who set an option: file and line, a variable, a flag, or ``default``."""
    return settings.origins.get(name, "default").removesuffix(f": {name}")
