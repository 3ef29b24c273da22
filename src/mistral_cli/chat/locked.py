"""Statements that lock the store, executed once no other program writes. Knows no table."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

PATIENCE: Final = 10.0
"""Seconds to wait for another terminal's turn to be written."""
_AGAIN: Final = 0.001
"""Seconds between two attempts: fewer than a program that writes again and again needs between two of its turns."""


def begin(database: sqlite3.Connection) -> None:
    """Begin to write.

    Raises:
        sqlite3.Error: another program wrote for all of ``PATIENCE``, or the file is damaged or cannot be written.
    """
    patiently(database, "BEGIN IMMEDIATE")


def patiently(database: sqlite3.Connection, statement: str) -> None:
    """Execute a statement that locks the database, trying again as long as others hold it.

    SQLite waits by itself, but looks ten times a second only, and not at all where two programs begin a new file
    together: one that writes turn after turn to a slow disk would keep the others out until their patience is over.

    Raises:
        sqlite3.Error: as ``begin``.
    """
    until = time.monotonic() + PATIENCE
    database.execute("PRAGMA busy_timeout = 0")
    try:
        while not _is_executed(database, statement, may_wait=time.monotonic() < until):
            time.sleep(_AGAIN)
    finally:
        database.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")


def _is_executed(database: sqlite3.Connection, statement: str, *, may_wait: bool) -> bool:
    try:
        database.execute(statement)
    except sqlite3.OperationalError as error:
        if not (is_busy(error) and may_wait):
            raise
        return False
    return True


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether another program held what was wanted."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
