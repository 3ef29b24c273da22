"""What was typed before, kept in the store for the arrow keys. Knows no keyboard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from mistral_cli.chat.opening import told
from mistral_cli.settings.options import well_formed

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.chat.store import Store

MOST: Final = 10_000
"""Entries that the arrow keys reach."""


def append_input(store: Store, text: str) -> None:
    """Keep what was typed.

    Raises:
        StoreError: it cannot be kept.
    """
    with store.together() as database:
        database.execute("INSERT INTO inputs (text) VALUES (?)", (well_formed(text),))


def inputs(store: Store) -> list[str]:
    """Return what was typed, the newest first.

    Raises:
        StoreError: the store cannot be read.
    """
    return [text for (text,) in store.read("SELECT text FROM inputs ORDER BY id DESC LIMIT ?", (MOST,))]


def take_over(store: Store, path: Path) -> None:
    """Move into the store, once, what earlier versions kept in a file: a JSON string a line; other lines stay out.

    Raises:
        StoreError: it cannot be kept; the file is as it was.
    """
    with told(store.path):
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        with store.together() as database:
            is_new = database.execute("INSERT OR IGNORE INTO taken_over VALUES (?)", (str(path),)).rowcount
            if is_new:
                entries = [(well_formed(entry),) for line in lines if (entry := _read_entry(line)) is not None]
                database.executemany("INSERT INTO inputs (text) VALUES (?)", entries)
        path.unlink(missing_ok=True)


def _read_entry(line: bytes) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, str) else None
