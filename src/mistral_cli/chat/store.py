"""Chats that are never lost: sessions and their turns in one SQLite database, each turn committed when it ends.

Turns are stored once, whoever goes on from them: a turn has one parent, and a chat that was forked from another shares
its beginning. What was said is kept raw; whoever shows it makes it safe. Knows no terminal and no model.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from mistral_cli.chat.conversation import Conversation
from mistral_cli.chat.locked import begin
from mistral_cli.chat.names import LAST, check_name, nearest, title
from mistral_cli.chat.opening import connect, connect_nowhere, connect_reading, told
from mistral_cli.chat.rows import COLUMNS, row_of, session_of, turn_of
from mistral_cli.chat.turn import now
from mistral_cli.errors import SessionNotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mistral_cli.chat.session import Session
    from mistral_cli.chat.turn import Turn

FILE_NAME: Final = "chats.db"
"""In the folder of our data."""
_SESSION: Final = """SELECT id, name, system, role, leaf, model, created, changed,
    (SELECT count(*) FROM turns WHERE session = sessions.id) FROM sessions"""
_NEXT_TOUCH: Final = "(SELECT ifnull(max(touched), 0) + 1 FROM sessions)"
# The session's own turns, and those of other sessions that they go on from.
_TREE: Final = f"""WITH RECURSIVE line (id) AS (
        SELECT id FROM turns WHERE session = :session
        UNION SELECT leaf FROM sessions WHERE id = :session AND leaf IS NOT NULL
        UNION SELECT parent FROM turns JOIN line USING (id) WHERE parent IS NOT NULL
    ) SELECT id, {", ".join(COLUMNS)} FROM turns WHERE id IN line ORDER BY id"""
# The turns of one session that others go on from, each with a session that does.
_SHARED: Final = """WITH RECURSIVE shared (id, session) AS (
        SELECT leaf, id FROM sessions WHERE id != :session AND leaf IN (SELECT id FROM turns WHERE session = :session)
        UNION SELECT parent, session FROM turns
            WHERE session != :session AND parent IN (SELECT id FROM turns WHERE session = :session)
        UNION SELECT turns.parent, shared.session FROM turns JOIN shared USING (id) WHERE turns.parent IS NOT NULL
    ) UPDATE turns SET session = (SELECT min(session) FROM shared WHERE id = turns.id)
    WHERE session = :session AND id IN (SELECT id FROM shared)"""


def open_store(path: Path, on_damage: Callable[[str], None] | None = None) -> Store:
    """Open the store, made if it is not there.

    Raises:
        StoreError: as ``connect`` has it.
    """
    return Store(path, connect(path, on_damage))


def open_to_read(path: Path) -> Store:
    """Open a store that may lie where nothing can be written; one that is not there is empty, and is not made.

    Raises:
        StoreError: as ``connect`` has it.
    """
    if not path.exists():
        return Store(path, connect_nowhere())
    is_writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return Store(path, connect(path) if is_writable else connect_reading(path))


class Store:
    """The chats of this user. Several processes may have it open at once.

    Every method raises ``StoreError`` where the database cannot be read or written; nothing is half done then.
    """

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @contextlib.contextmanager
    def together(self) -> Iterator[sqlite3.Connection]:
        """Commit what is written inside at once, or nothing of it."""
        if self._database.in_transaction:
            yield self._database
            return
        with told(self.path):
            begin(self._database)
            try:
                yield self._database
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")

    def read(self, statement: str, values: Any = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with told(self.path):
            return self._database.execute(statement, values).fetchall()

    # -- sessions ------------------------------------------------------------------------------------------------

    def new_session(
        self,
        name: str | None = None,
        *,
        question: str = "",
        system: str = "",
        role: str = "",
        model: str = "",
        leaf: int | None = None,
    ) -> Session:
        """Begin a chat.

        Args:
            name: what it is called; None: by the first words of ``question``, with a number where that is taken.
            question: the first one.
            system: the system prompt.
            role: the role that answers.
            model: who answers.
            leaf: the turn of another chat that it goes on from, which stays stored once.

        Raises:
            UsageError: the name cannot be one, or is taken.
        """
        if name is not None:
            check_name(name)
        with self.together() as database, _refusing_taken(name):
            values = (name or self._free_name(title(question)), system, role, leaf, model, now(), now())
            cursor = database.execute(
                "INSERT INTO sessions (name, system, role, leaf, model, created, changed, touched) "
                f"VALUES (?, ?, ?, ?, ?, ?, ?, {_NEXT_TOUCH})",
                values,
            )
            return self._session("id = ?", cursor.lastrowid)

    def sessions(self) -> list[Session]:
        """Return all chats, the one talked in last at the end."""
        return [session_of(row) for row in self.read(f"{_SESSION} ORDER BY touched")]

    def find(self, name: str) -> Session:
        """Return the chat of that name, or the one talked in last.

        Raises:
            UsageError: no chat can have that name.
            SessionNotFoundError: there is none.
        """
        if name == LAST:
            rows = self.read(f"{_SESSION} ORDER BY touched DESC LIMIT 1")
        else:
            rows = self.read(f"{_SESSION} WHERE name = ?", (check_name(name),))
        if rows:
            return session_of(rows[0])
        if name == LAST:
            raise SessionNotFoundError("There is no chat yet.", "Begin one: mistral chat")
        near = nearest(name, [known for (known,) in self.read("SELECT name FROM sessions")])
        hint = f"Did you mean {near}?" if near else "See them all: mistral history list"
        raise SessionNotFoundError(f"There is no chat called {name!a:.200}.", hint)

    def load(self, name: str) -> tuple[Session, Conversation]:
        """Return the chat of that name (``last``: the one talked in last) and all that was said in it.

        Raises:
            UsageError, SessionNotFoundError: as ``find``.
        """
        session = self.find(name)
        rows = self.read(_TREE, {"session": session.id})
        turns = MappingProxyType({row[0]: turn_of(row[0], row[1:]) for row in rows})
        return session, Conversation(turns=turns, leaf=session.leaf, system=session.system)

    def holds(self, session_id: int) -> bool:
        """Tell whether the chat is still there: another terminal may have deleted it."""
        return bool(self.read("SELECT 1 FROM sessions WHERE id = ?", (session_id,)))

    def rename(self, session_id: int, name: str) -> Session:
        """Give a chat another name.

        Raises:
            UsageError: the name cannot be one, or is taken.
        """
        check_name(name)
        with self.together() as database, _refusing_taken(name):
            database.execute("UPDATE sessions SET name = ? WHERE id = ?", (name, session_id))
            return self._session("id = ?", session_id)

    def stand_at(self, session_id: int, leaf: int | None, system: str) -> None:
        """Remember where in its tree a chat stands, and the system prompt of its next question."""
        with self.together() as database:
            database.execute("UPDATE sessions SET leaf = ?, system = ? WHERE id = ?", (leaf, system, session_id))

    def set_role(self, session_id: int, role: str) -> None:
        """Remember the role that answers in a chat from now on."""
        with self.together() as database:
            database.execute("UPDATE sessions SET role = ? WHERE id = ?", (role, session_id))

    def delete(self, *session_ids: int) -> None:
        """Remove chats and those of their turns that no other chat goes on from, from the disk, too."""
        with self.together() as database:
            for session_id in session_ids:
                database.execute(_SHARED, {"session": session_id})
                database.execute("UPDATE sessions SET leaf = NULL WHERE id = ?", (session_id,))
                database.execute("DELETE FROM turns WHERE session = ?", (session_id,))
                database.execute("DELETE FROM sessions WHERE id = ?", (session_id,))
            database.execute("INSERT INTO words (words) VALUES ('optimize')")  # or removed words stay in the index
        with told(self.path):
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- turns ---------------------------------------------------------------------------------------------------

    def add_turn(self, session_id: int, turn: Turn) -> Turn:
        """Keep a turn, on the disk when this returns; return it with the id it has in the store."""
        marks = ", ".join("?" * len(COLUMNS))
        with self.together() as database:
            cursor = database.execute(
                f"INSERT INTO turns (session, {', '.join(COLUMNS)}) VALUES (?, {marks})",
                (session_id, *row_of(turn)),
            )
            stored = replace(turn, id=cursor.lastrowid or 0)
            database.execute(
                "UPDATE sessions SET leaf = ?, system = ?, model = ?, changed = ?, "
                f"touched = {_NEXT_TOUCH} WHERE id = ?",
                (stored.id, turn.system, turn.record.model, turn.record.when or now(), session_id),
            )
        return stored

    def _session(self, condition: str, value: object) -> Session:
        return session_of(self.read(f"{_SESSION} WHERE {condition}", (value,))[0])

    def _free_name(self, name: str) -> str:
        """Return the name, with the lowest number behind it that makes it a new one."""
        like = self.read("SELECT name FROM sessions WHERE name >= ? AND name < ?", (name, name + "-\U0010ffff"))
        taken = {known.casefold() for (known,) in like}
        numbers = (f"{name}-{number}" for number in range(2, len(taken) + 3))
        return next(free for free in (name, *numbers) if free.casefold() not in taken)


@contextlib.contextmanager
def _refusing_taken(name: str | None) -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError:
        raise UsageError(f"There is a chat called {name!a:.100} already.", "Choose another name.") from None
