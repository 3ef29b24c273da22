"""The names that only the disk knows, for the TAB key: models, chats, roles, templates. Fast: no typer, no torch.

The scripts ask for them by ``_MISTRAL_COMPLETE=chats mistral``: a line each, the name, a tab, what it is.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from mistral_cli.errors import MistralError
from mistral_cli.settings.places import places

if TYPE_CHECKING:
    from mistral_cli.settings.shelf import Shelf

Named = tuple[str, str]
"""A name, and what it is."""
MOST: Final = 500
"""Chats that are offered, the newest first: nobody reads more of them."""


def main(source: str, words: Iterable[str]) -> None:
    """Print what ``source`` offers; nothing where it is unknown, or where something is wrong: nobody reads errors here.

    Args:
        source: ``models``, ``ids``, ``chats``, ``lessons``, ``roles``, ``templates``, ``fields``, ``copies``,
            ``settings``.
        words: the words of the line so far, the one at the cursor last.
    """
    lines: list[str] = []
    with contextlib.suppress(MistralError, OSError, ValueError):
        for name, about in _SOURCES.get(source, _nothing)(list(words)):
            if name.isprintable():  # what is not would be run or drawn by the shell as who knows what
                lines.append(f"{name}\t{''.join(char if char.isprintable() else ' ' for char in about)}\n")
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write("".join(lines).encode("utf-8", "surrogateescape"))
        sys.stdout.flush()


def _nothing(_words: list[str]) -> Iterator[Named]:
    yield from ()


def _models(_words: list[str]) -> Iterator[Named]:
    from mistral_cli.settings.load import load_settings
    from mistral_cli.weights.hub_inventory import names_here
    from mistral_cli.weights.hub_names import BUILTIN, model_of

    for name in names_here(load_settings().model_folders):
        yield name, "the guide that is built in" if name == BUILTIN else model_of(name) or "a model on this disk"


def _ids(_words: list[str]) -> Iterator[Named]:
    from mistral_cli.weights.hub_names import ALIASES

    for alias in ALIASES:
        yield alias.name, f"{alias.model}, {alias.about}"
    yield from dict.fromkeys((alias.model, alias.about) for alias in ALIASES)


def _chats(_words: list[str]) -> Iterator[Named]:
    from mistral_cli.chat.names import LAST
    from mistral_cli.chat.store import FILE_NAME, open_to_read

    store = open_to_read(places().data / FILE_NAME)
    rows = store.read(f"SELECT name, changed, model FROM sessions ORDER BY touched DESC LIMIT {MOST}")  # noqa: S608
    if rows:
        yield LAST, f"the newest: {rows[0][0]}"
    for name, changed, model in rows:
        yield name, f"{changed[:10]} {model}".strip()


def _lessons(words: list[str]) -> Iterator[Named]:
    """Offer chats where data is made of them; to check data, the shell offers files."""
    if "from-history" in words:
        yield from _chats(words)


def _on_shelf(shelf: Shelf, about: Callable[[str], str]) -> Iterator[Named]:
    for name in shelf.names():
        try:
            yield name, about(name)
        except MistralError as error:
            yield name, error.message


def _roles(_words: list[str]) -> Iterator[Named]:
    from mistral_cli.settings.roles import ROLES, read_role

    yield from _on_shelf(ROLES, lambda name: read_role(name).description)


def _templates(_words: list[str]) -> Iterator[Named]:
    from mistral_cli.settings.templates import TEMPLATES, read_template

    yield from _on_shelf(TEMPLATES, lambda name: read_template(name).sheet.description)


def _fields(words: list[str]) -> Iterator[Named]:
    """Offer what the template of the line wants to be told."""
    from mistral_cli.commands.template import template_fields
    from mistral_cli.settings.templates import read_template

    named = [after for word, after in pairwise(words) if word == "--template"]
    named += [word.removeprefix("--template=") for word in words if word.startswith("--template=")]
    for name in named[-1:]:
        found = read_template(name)
        for field in template_fields(found):
            yield f"{field}=", f"by default {found.defaults[field]}" if field in found.defaults else "must be given"


def _copies(_words: list[str]) -> Iterator[Named]:
    from mistral_cli.weights.quantized_cache import FOLDER, QuantizedCache

    entries = QuantizedCache(folder=places().cache / FOLDER).entries()
    for model in dict.fromkeys(entry.stored.model for entry in entries if entry.stored is not None):
        yield model, "all copies of this model"
    for entry in entries:
        yield entry.name, entry.stored.model if entry.stored is not None else "a copy that cannot be read"


def _settings(words: list[str]) -> Iterator[Named]:
    """Offer the options of ``mistral config``; behind ``set OPTION`` what that may be."""
    from mistral_cli.settings.options import OPTIONS
    from mistral_cli.settings.shown import range_of

    plain = [word for word in words if not word.startswith("-")]
    behind = plain[plain.index("config") + 1 :] if "config" in plain else []
    if behind[:1] == ["set"] and len(behind) > 2:
        yield from _values(behind[1].replace("-", "_")) if len(behind) == 3 else ()
        return
    for name in OPTIONS:
        yield name, range_of(name)


def _values(name: str) -> Iterator[Named]:
    from mistral_cli.settings.options import OPTIONS
    from mistral_cli.settings.shown import choices_of
    from mistral_cli.text.versions import VERSIONS

    if name in _NAMED:
        yield from _NAMED[name]([])
    words = {"device": ("auto", "cpu", "cuda", "mps"), "chat_template": VERSIONS}.get(name)
    for word in words or (choices_of(name) if name in OPTIONS else ()):
        yield word, ""


_NAMED: Final = {"model": _models, "role": _roles, "template": _templates}
"""Options whose values have names of their own."""

_SOURCES: Final[dict[str, Callable[[list[str]], Iterator[Named]]]] = {
    "models": _models,
    "ids": _ids,
    "chats": _chats,
    "lessons": _lessons,
    "roles": _roles,
    "templates": _templates,
    "fields": _fields,
    "copies": _copies,
    "settings": _settings,
}
