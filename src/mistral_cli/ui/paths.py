"""File names as they are typed: with ``~``, quotes and spaces; completed, and read back. Opens no file."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mistral_cli.ui.slash.choice import Choice

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 500
"""Names that are offered at once."""
_ESCAPED: Final = re.compile(r"""\\([ "'@\\])""")
_PLAIN: Final = re.compile(r"""[^\s"'`\\]+""")


def read_name(typed: str) -> str:
    """Return the name that was typed: between quotes, or with backslashes before its spaces."""
    if typed[:1] in ('"', "'"):
        return typed[1:].removesuffix(typed[0])
    return _ESCAPED.sub(r"\1", typed)


def path_of(name: str) -> Path:
    """Return the path that a name means; ``~`` is the home, where there is one."""
    try:
        return Path(name).expanduser()
    except RuntimeError:  # ~nobody
        return Path(name)


def written(name: str, quote: str = "") -> str:
    """Return a name as it is typed: between quotes where it needs them, or where they were begun."""
    if not quote and _PLAIN.fullmatch(name):
        return name
    quote = quote or ("'" if '"' in name else '"')
    return f"{quote}{name}" if name.endswith("/") else f"{quote}{name}{quote}"


def names_after(typed: str) -> list[Choice]:
    """Return the files and folders that a name begun with ``typed`` may mean; hidden ones after a dot only."""
    quote = typed[:1] if typed[:1] in ('"', "'") else ""
    folder, slash, begun = read_name(typed).rpartition("/")
    if begun == "~" and not slash:
        return [Choice("~/", "your home", len(typed))]
    choices: list[Choice] = []
    for name, about in _entries(path_of(folder + slash or ".")):
        if name.casefold().startswith(begun.casefold()) and (begun[:1] == "." or name[0] != "."):
            choices.append(Choice(written(folder + slash + name, quote), about, len(typed)))
            if len(choices) == MOST:
                break
    return choices


def _entries(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what a folder holds, in order: names that can be typed, and what they are."""
    try:
        entries = _scanned(folder.absolute(), folder.stat().st_mtime_ns)
    except (OSError, ValueError):
        return
    for entry in entries:
        if not entry.name.isprintable():
            continue
        try:
            is_folder = entry.is_dir()
            yield (entry.name + "/", "folder") if is_folder else (entry.name, size_of(entry.stat().st_size))
        except OSError:  # a link that leads nowhere
            continue


@functools.lru_cache(maxsize=4)
def _scanned(folder: Path, _changed: int) -> list[os.DirEntry[str]]:
    """Return the entries of a folder as it was when it last changed: every key asks for them again."""
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def size_of(count: int) -> str:
    """Return a number of bytes for people: ``812 bytes``, ``1.2 kB``, ``3.4 MB``."""
    if count < 1000:
        return "1 byte" if count == 1 else f"{count} bytes"
    amount, unit = next((count / size, unit) for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)) if count >= size)
    return f"{amount:.1f} {unit}"
