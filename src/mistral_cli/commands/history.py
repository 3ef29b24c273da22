"""``mistral history``: the chats that are kept, listed, shown, searched, exported, removed. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from mistral_cli.chat.names import LAST
from mistral_cli.chat.search import MOST, search
from mistral_cli.chat.session import Session
from mistral_cli.chat.store import FILE_NAME, Store, open_to_read
from mistral_cli.chat.transcript import FORMS, to_json, to_markdown
from mistral_cli.commands.kept_cache import forget_caches
from mistral_cli.commands.output import open_target
from mistral_cli.commands.start import start
from mistral_cli.errors import UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.settings.places import places
from mistral_cli.ui.console import Console

ALL_SEEN: Final = "See them all: mistral history list"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What was asked for, and where to say it."""

    settings: Settings
    store: Store
    console: Console
    words: Sequence[str]
    output: str | None
    form: str | None
    most: int
    is_sure: bool
    as_object: bool


def history(
    ctx: typer.Context,
    action: Annotated[
        Literal["list", "show", "search", "export", "remove", "path"], typer.Argument(metavar="ACTION")
    ] = "list",
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CHAT", show_default=False, help="Which chat (`last`: the last one), or what to search."
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="export: write a file, .md or .json.")
    ] = None,
    form: Annotated[
        Literal["md", "json"] | None,
        typer.Option("--as", help="export: Markdown or JSON, whatever the file is called."),
    ] = None,
    most: Annotated[int, typer.Option("-n", "--most", min=1, metavar="N", help="search: N turns at most.")] = MOST,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="remove: do not ask.")] = False,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Look through the chats that are kept: `list`, `show`, `search`, `export`, `remove`, `path`.

    `mistral chat` keeps every turn as it ends, on this disk alone. The newest stands at the end of lists. What is
    removed is gone from the disk, but for what another chat goes on from.
    """
    settings, console = start(ctx)
    least, largest = _WORDS[action]
    if not least <= len(words or []) <= largest:
        reason = (
            "takes no names" if not largest else "needs words" if action == "search" else "needs the name of a chat"
        )
        raise UsageError(f"`mistral history {action}` {reason}.", ALL_SEEN)
    wish = _Wish(
        settings=settings,
        store=open_to_read(places().data / FILE_NAME),
        console=console,
        words=words or [],
        output=output,
        form=form,
        most=most,
        is_sure=yes,
        as_object=as_object,
    )
    return _ACTIONS[action](wish) or 0


def _list(wish: _Wish) -> None:
    sessions = wish.store.sessions()
    if wish.as_object:
        wish.console.json({"path": str(wish.store.path), "chats": [_object(session) for session in sessions]})
    elif sessions:
        wish.console.rows(*_table(sessions), indent="    ")
    else:
        wish.console.notice("There is no chat yet. Begin one: mistral chat")


def _object(session: Session) -> dict[str, object]:
    kept = ("name", "turns", "model", "role", "system", "created", "changed")
    return {name: getattr(session, name) for name in kept}


def _table(sessions: Sequence[Session]) -> Iterator[str]:
    """Yield a line a chat: when it was talked in last, turns, model, name."""
    width = max(len(f"{session.turns}") for session in sessions)
    models = max(len(session.model) for session in sessions)
    for session in sessions:
        yield f"{_local(session.changed)}  {session.turns:>{width}}  {session.model:{models}}  {session.name}"


def _local(when: str) -> str:
    """Return a time of the store as the clock on the wall showed it."""
    return datetime.fromisoformat(when).astimezone().isoformat(" ", "minutes")[:16] if when else " " * 16


def _show(wish: _Wish) -> None:
    _session, conversation = wish.store.load(wish.words[0] if wish.words else LAST)
    if wish.as_object:
        wish.console.line(to_json(conversation).rstrip("\n"))
    else:
        wish.console.line(to_markdown(conversation).rstrip("\n"))


def _search(wish: _Wish) -> None:
    hits = search(wish.store, " ".join(wish.words), wish.most)
    if wish.as_object:
        wish.console.json({"hits": [asdict(hit) for hit in hits]})
        return
    for hit in hits:
        wish.console.rows(f"{_local(hit.when)}  {hit.session}", f"    {hit.excerpt}", indent="    ")
    if not hits:
        wish.console.notice("No turn holds that.")


def _export(wish: _Wish) -> None:
    """Write a chat's branch as it stands, into a file or to stdout."""
    session, conversation = wish.store.load(wish.words[0] if wish.words else LAST)
    ending = Path(wish.output or "").suffix.lower()
    form = f".{wish.form}" if wish.form else ending if ending in FORMS else ".json" if wish.as_object else ".md"
    text = FORMS[form](conversation)
    with open_target(wish.output, wish.console) as target:
        target.write(text)
    if wish.output is not None:
        if wish.as_object:
            wish.console.json({"name": session.name, "file": wish.output, "bytes": len(text.encode())})
        else:
            wish.console.notice(f"{session.name} is in {wish.output}.")


def _remove(wish: _Wish) -> int:
    sessions = list({session.id: session for session in map(wish.store.find, wish.words)}.values())
    turns = sum(session.turns for session in sessions)
    names = ", ".join(session.name for session in sessions)
    if not wish.is_sure:
        if not wish.console.can_ask:
            raise UsageError("Without a terminal nobody can be asked, and nothing is removed unasked.", "Say --yes.")
        if not wish.console.ask(f"Remove {names} ({turns:,} turns) for good?"):
            wish.console.notice("Nothing was removed.")
            return 1
    wish.store.delete(*(session.id for session in sessions))
    forget_caches(wish.settings, wish.console, *sessions)
    if wish.as_object:
        wish.console.json({"removed": [session.name for session in sessions], "turns": turns})
    else:
        wish.console.line("\n".join(session.name for session in sessions))
    return 0


def _path(wish: _Wish) -> None:
    if wish.as_object:
        wish.console.json({"path": str(wish.store.path)})
    else:
        wish.console.line(str(wish.store.path))


_MANY: Final = 10_000
_WORDS: Final = {
    "list": (0, 0),
    "show": (0, 1),
    "search": (1, _MANY),
    "export": (0, 1),
    "remove": (1, _MANY),
    "path": (0, 0),
}
"""Action -> how many words it takes."""
_ACTIONS: Final[dict[str, Callable[[_Wish], int | None]]] = {
    "list": _list,
    "show": _show,
    "search": _search,
    "export": _export,
    "remove": _remove,
    "path": _path,
}
