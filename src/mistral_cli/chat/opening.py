"""How the store's file comes into being and is opened: private, whole, never over something that we cannot read.

Knows what a database file is, and nothing of chats.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from mistral_cli.chat.locked import PATIENCE, is_busy, patiently
from mistral_cli.chat.migrations import check_version, migrate
from mistral_cli.errors import StoreError
from mistral_cli.settings.places import open_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BESIDE: Final = ("", "-wal", "-shm")


def connect(path: Path, on_damage: Callable[[str], None] | None = None) -> sqlite3.Connection:
    """Open the database for reading and writing, made for the user alone if it is not there.

    Args:
        path: the file.
        on_damage: called with what happened where the file is damaged; it is put aside then, whole, and a new one is
            begun. None: that is an error.

    Raises:
        StoreError: it cannot be opened, a newer program wrote it, or it is damaged; nothing was changed.
    """
    with told(path):
        _create(path)
        inode = path.stat().st_ino
        try:
            return _prepared(path)
        except sqlite3.DatabaseError as error:
            if on_damage is None or not _is_damage(error):
                raise
            kept = _put_aside(path, inode)
            on_damage(
                f"The chats in {path} are damaged ({error}). The file is kept as {kept.name}; new ones are begun."
            )
        return connect(path)


def _create(path: Path) -> None:
    """Make the file for the user alone, before SQLite would make it for all.

    One that is there is not even opened: closing it would let go of every lock that SQLite holds on it in this process,
    and another process would write into the middle of a turn (POSIX locks belong to the process, not the descriptor).
    """
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            os.close(open_private(path, os.O_RDWR | os.O_EXCL))


def connect_reading(path: Path) -> sqlite3.Connection:
    """Open the database of a folder in which nothing can be written.

    Raises:
        StoreError: it cannot be read, or not by this version.
    """
    with told(path):
        location = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        database = sqlite3.connect(location, uri=True, isolation_level=None)
        if check_version(database):
            return database
        newer = sqlite3.connect(":memory:", isolation_level=None)
        with contextlib.closing(database):
            database.backup(newer)
        migrate(newer)
        return newer


def connect_nowhere() -> sqlite3.Connection:
    """Return an empty database in memory."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    migrate(database)
    return database


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Tell in our words what SQLite or the disk says."""
    try:
        yield
    except sqlite3.Error as error:
        hint = "Another terminal is writing: try again." if is_busy(error) else ""
        if _is_damage(error):
            hint = f"The file is left as it is; put it aside to begin anew: {path}"
        raise StoreError(f"The chats in {path} cannot be used: {error}.", hint) from error
    except OSError as error:
        raise StoreError(f"The chats in {path} cannot be used: {error.strerror or error}.") from error


def _prepared(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA secure_delete = ON")  # what was removed is not left on the disk
        patiently(database, "PRAGMA journal_mode = WAL")  # readers and a writer go on at the same time from then on
        database.execute("PRAGMA synchronous = FULL")  # a turn is kept even if the power goes
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def _put_aside(path: Path, inode: int) -> Path:
    """Rename the database and what SQLite keeps beside it; another process may have done so meanwhile."""
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    if path.stat().st_ino == inode:
        for ending in _BESIDE:
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + ending).rename(kept.with_name(kept.name + ending))
    return kept
