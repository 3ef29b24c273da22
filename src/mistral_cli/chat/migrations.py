"""The tables of the store, and the steps from each version of them to the next. Knows no chat.

A step that was released is never changed: what is new is a new step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mistral_cli.chat.locked import begin
from mistral_cli.errors import StoreError

if TYPE_CHECKING:
    import sqlite3

STEPS: Final = (
    (
        """CREATE TABLE sessions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE COLLATE NOCASE,
            system TEXT NOT NULL,
            leaf INTEGER REFERENCES turns (id) DEFERRABLE INITIALLY DEFERRED,
            model TEXT NOT NULL,
            created TEXT NOT NULL,
            changed TEXT NOT NULL,
            touched INTEGER NOT NULL  -- counts up over all sessions: a clock may jump
        )""",
        "CREATE INDEX sessions_touched ON sessions (touched)",
        """CREATE TABLE turns (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            session INTEGER NOT NULL REFERENCES sessions (id) DEFERRABLE INITIALLY DEFERRED,
            parent INTEGER REFERENCES turns (id) DEFERRABLE INITIALLY DEFERRED,
            question TEXT NOT NULL,
            answer TEXT NOT NULL,
            ids BLOB NOT NULL,  -- four bytes each, the lowest first
            reason TEXT NOT NULL,
            tokens BLOB NOT NULL,  -- JSON, deflated
            system TEXT NOT NULL,
            record TEXT NOT NULL  -- JSON
        )""",
        "CREATE INDEX turns_session ON turns (session)",
        "CREATE INDEX turns_parent ON turns (parent)",
        """CREATE VIRTUAL TABLE words USING fts5 (
            question, answer, content='turns', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
        )""",
        """CREATE TRIGGER turn_added AFTER INSERT ON turns BEGIN
            INSERT INTO words (rowid, question, answer) VALUES (new.id, new.question, new.answer);
        END""",
        """CREATE TRIGGER turn_removed AFTER DELETE ON turns BEGIN
            INSERT INTO words (words, rowid, question, answer) VALUES ('delete', old.id, old.question, old.answer);
        END""",
        "CREATE TABLE inputs (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
        "CREATE TABLE taken_over (path TEXT PRIMARY KEY)",
    ),
    ("ALTER TABLE sessions ADD COLUMN role TEXT NOT NULL DEFAULT ''",),
)


def migrate(database: sqlite3.Connection) -> None:
    """Bring the tables to the newest version, each step whole or not at all; another process may do so meanwhile.

    Raises:
        StoreError: a newer version of this program wrote them; nothing was changed.
        sqlite3.Error: the file is damaged, locked or cannot be written.
    """
    while (version := _version(database)) < len(STEPS):
        begin(database)
        try:
            if _version(database) == version:
                for statement in STEPS[version]:
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {version + 1}")
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
    check_version(database)


def check_version(database: sqlite3.Connection) -> bool:
    """Refuse tables that are newer than this program; tell whether they are as new as it.

    Raises:
        StoreError: they are.
    """
    version = _version(database)
    if version > len(STEPS):
        raise StoreError(
            f"A newer mistral-cli wrote the chats (their format is {version}, this one knows {len(STEPS)}).",
            "Update mistral-cli; nothing of them was changed.",
        )
    return version == len(STEPS)


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])
