"""One side of a comparison: ``nf4``, or settings of its own such as ``nf4,kv=int8``. Loads nothing.

Whether our CPU kernel computes is no setting of a side: it is decided once for a process, from the environment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from mistral_cli.errors import UsageError
from mistral_cli.settings.options import OPTIONS, Settings

NAMES: Final = ("quantize", "kv", "dtype", "device", "threads", "adapter")
"""The settings that a side may have of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Settings, and what the user calls them."""

    name: str
    settings: Settings


def read_side(flag: str, text: str, settings: Settings) -> Side:
    """Return the side that ``text`` describes, on top of ``settings``.

    Raises:
        UsageError: a name or a value that is none.
    """
    values: dict[str, object] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, is_named, value = item.partition("=")
        if not is_named:
            name, value = "quantize", item
        values[name] = _read(flag, name, value)
    origins = {**settings.origins, **dict.fromkeys(values, flag)}
    return Side(name=text, settings=replace(settings, **values, origins=origins))  # type: ignore[arg-type]


def _read(flag: str, name: str, value: str) -> object:
    if name not in NAMES:
        raise UsageError(f"{flag}: {name!a:.40} is no setting of a side; there are {', '.join(NAMES)}.")
    try:
        return OPTIONS[name].metadata["read"](value)
    except ValueError as error:
        raise UsageError(f"{flag}: {name} is {value!a:.40}, but must be {error}.") from None
