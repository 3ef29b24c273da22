"""Texts with places for others: ``{{name}}``. What is put there is never looked through again. Knows no file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Only two opening braces mean anything, so that JSON and code with all its closing ones may stand as they are.
# A brace before a field (``{{{name}}}``) is a letter, as in TeX.
_PLACE: Final = re.compile(r"\{\{\{\{|\{\{[ \t]*([A-Za-z_][A-Za-z0-9_-]*)[ \t]*\}\}|\{\{(?!\{\{?[ \t]*[A-Za-z_])")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def is_field_name(name: str) -> bool:
    """Tell whether ``{{name}}`` is a place: letters, digits, ``_`` and ``-``, a letter or ``_`` first."""
    return _NAME.fullmatch(name) is not None


def fields_of(text: str) -> list[str]:
    """Return the names of the places of a text, each once, in their order.

    Raises:
        ValueError: two opening braces that begin no place; its first argument is where they stand.
    """
    names: dict[str, None] = {}
    for match in _PLACE.finditer(text):
        if match[1]:
            names[match[1]] = None
        elif match[0] != "{{{{":
            raise ValueError(match.start())
    return list(names)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with ``values`` in their places, and ``{{`` where ``{{{{`` stands.

    Raises:
        KeyError: a place for which there is no value.
    """
    return _PLACE.sub(lambda match: values[match[1]] if match[1] else "{{", text)
