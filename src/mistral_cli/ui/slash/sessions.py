"""Commands for the chats that are kept: name, open, list, search, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.chat.conversation import Conversation
from mistral_cli.chat.names import check_name
from mistral_cli.chat.search import search
from mistral_cli.errors import UsageError
from mistral_cli.ui.adapters import go_on_with
from mistral_cli.ui.columns import in_columns
from mistral_cli.ui.slash.choice import Choice, matching, one_of
from mistral_cli.ui.slash.roles import go_on_as
from mistral_cli.ui.slash.row import SlashCommand, excerpt, show_turn, turns_of, unquoted

if TYPE_CHECKING:
    from mistral_cli.chat.session import Session
    from mistral_cli.chat.store import Store
    from mistral_cli.ui.repl import Repl

_LATEST = 20
"""How many chats are listed unasked."""


def _store(repl: Repl) -> Store:
    if repl.keeper.store is None:
        raise UsageError("This chat is not kept (--no-store), and neither are others reached from it.")
    return repl.keeper.store


def _session(repl: Repl) -> Session:
    _store(repl)
    if repl.keeper.session is None:
        raise UsageError("This chat has no answer yet, so it is not kept yet.", "Ask something first.")
    return repl.keeper.session


def _rename(repl: Repl, words: str) -> None:
    """Give this chat a name."""
    store, session = _store(repl), _session(repl)
    if not words:
        repl.console.line(session.name)
        return
    repl.keeper.session = store.rename(session.id, unquoted(words))
    repl.console.notice(f"This chat is called {repl.keeper.session.name}.")


def _open(repl: Repl, words: str) -> None:
    """Go on with another chat; this one stays kept."""
    if not words:
        raise UsageError("/open has no name.", "/sessions lists the chats.")
    session, conversation = _store(repl).load(unquoted(words))
    repl.begin_session(conversation, session)
    go_on_as(repl, session.role)
    path = conversation.path()
    if path:
        show_turn(repl, path[-1])
    repl.console.notice(f"{session.name}: {turns_of(len(path))} on this branch.")
    if path:
        go_on_with(repl.backend, path[-1].record, repl.console)
    if session.model not in ("", repl.backend.info.name):
        repl.console.notice(f"{session.model} answered there, {repl.backend.info.name} does from here on (/model).")


def _sessions(repl: Repl, words: str) -> None:
    """List the chats, the one talked in last at the end."""
    sessions = _store(repl).sessions()
    shown = sessions if words == "all" else sessions[-_LATEST:]
    here = repl.keeper.session
    out = repl.console.out
    rows = [
        (
            f"{'*' if here is not None and session.id == here.id else ' '} {session.name}",
            turns_of(session.turns),
            session.changed[:10],
        )
        for session in shown
    ]
    for line in in_columns(rows, out.columns if out.is_terminal else None):
        repl.console.line(line)
    if len(shown) < len(sessions):
        repl.console.notice(f"{len(sessions) - len(shown):,} older ones: /sessions all")
    elif not sessions:
        repl.console.notice("No chat is kept yet.")


def _search(repl: Repl, words: str) -> None:
    """Find words in all chats."""
    if not words:
        raise UsageError("/search has no words.")
    hits = search(_store(repl), unquoted(words))
    for hit in hits:
        repl.console.rows(f"{hit.session}: {excerpt(hit.question, 40)}", f"    {hit.excerpt}", indent="    ")
    repl.console.notice(f"{len(hits)} found. /open NAME goes on with a chat." if hits else "Nothing was found.")


def _delete(repl: Repl, words: str) -> None:
    """Remove a chat (this one) from the disk, after a question."""
    is_forced = words.startswith("!")
    name = unquoted(words.removeprefix("!").strip())
    store = _store(repl)
    session = store.find(check_name(name)) if name else _session(repl)
    if not is_forced:
        if repl.is_strict or not repl.console.can_ask:
            raise UsageError("Nobody can be asked whether to delete it.", "/delete! does.")
        if not repl.console.ask(f"Delete {session.name}, {turns_of(session.turns)}?"):
            return
    store.delete(session.id)
    repl.caches.forget(session)
    if repl.keeper.session is not None and repl.keeper.session.id == session.id:
        repl.begin_session(Conversation(system=repl.conversation.system))
    repl.console.notice(f"Deleted {session.name}.")


def _complete(repl: Repl, typed: str) -> list[Choice]:
    """Return the names of chats, the newest first."""
    store = repl.keeper.store
    return [] if store is None else matching(typed, repl.looked_up("chats", lambda: _choices(store)))


def _choices(store: Store) -> list[Choice]:
    return [
        Choice(session.name, f"{session.changed[:10]}, {turns_of(session.turns)}")
        for session in reversed(store.sessions())
    ]


COMMANDS = (
    SlashCommand("/save", "NAME", "Keep this chat under a name of yours.", _rename),
    SlashCommand("/open", "NAME", "Go on with another chat.", _open, _complete),
    SlashCommand("/sessions", "[all]", "List the chats.", _sessions, one_of(Choice("all", "older ones, too"))),
    SlashCommand("/search", "TEXT", "Find words in all chats.", _search),
    SlashCommand("/rename", "[NAME]", "Give this chat another name, or show the one it has.", _rename),
    SlashCommand("/delete", "[NAME]", "Delete a chat (this one); /delete! does not ask.", _delete, _complete),
)
