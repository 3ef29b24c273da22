"""One side of a comparison: ``nf4``, or settings of its own such as ``nf4,kv=int8,kernel=none``. Loads nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from mistral_cli.errors import UsageError
from mistral_cli.settings.options import OPTIONS, Settings

KERNEL: Final = "kernel"
FORCE: Final = "MISTRAL_CLI_KERNEL"
"""The variable that ``kernel=none`` sets while a side is loaded and run."""
NAMES: Final = ("quantize", "kv", "dtype", "device", "threads")
"""The settings that a side may have of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Settings, and what must stand in the environment with them."""

    name: str
    settings: Settings
    kernel: str | None

    @contextlib.contextmanager
    def environment(self) -> Iterator[None]:
        """Leave our CPU kernel out within the block, where the side says so."""
        if self.kernel is None:
            yield
            return
        before = os.environ.get(FORCE)
        os.environ[FORCE] = self.kernel
        try:
            yield
        finally:
            del os.environ[FORCE]
            if before is not None:
                os.environ[FORCE] = before


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
    kernel = values.pop(KERNEL, None)
    origins = {**settings.origins, **dict.fromkeys(values, flag)}
    changed = replace(settings, **values, origins=origins)  # type: ignore[arg-type]
    return Side(name=text, settings=changed, kernel=None if kernel is None else str(kernel))


def _read(flag: str, name: str, value: str) -> object:
    if name == KERNEL:
        if value != "none":
            raise UsageError(f"{flag}: {KERNEL} is {value!a:.40}, but can only be none: without our CPU kernel.")
        return value
    if name not in NAMES:
        raise UsageError(f"{flag}: {name!a:.40} is no setting of a side; there are {', '.join((*NAMES, KERNEL))}.")
    try:
        return OPTIONS[name].metadata["read"](value)
    except ValueError as error:
        raise UsageError(f"{flag}: {name} is {value!a:.40}, but must be {error}.") from None
