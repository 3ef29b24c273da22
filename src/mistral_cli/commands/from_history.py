"""``mistral data from-history``: the chats that are kept, as conversations to learn from. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mistral_cli.chat.lessons import Lessons, as_line, lessons
from mistral_cli.chat.search import search
from mistral_cli.chat.session import Session
from mistral_cli.chat.store import FILE_NAME, Store, open_to_read
from mistral_cli.commands.output import STDOUT, open_target
from mistral_cli.commands.sizes import counted
from mistral_cli.errors import MistralError, UsageError
from mistral_cli.settings.places import places
from mistral_cli.ui.console import Console

_ALL = 2**31
"""Hits of a search: as many as there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the flags say."""

    names: Sequence[str]
    search: str | None
    branches: bool
    unfinished: bool
    output: str | None


def write_lessons(wish: Wish, console: Console, *, as_object: bool) -> None:
    """Write the conversations into a file (0600), or to stdout, and say on stderr what they are.

    Raises:
        UsageError: ``--json`` without a file; a name that no chat can have; a file that cannot be written.
        SessionNotFoundError: there is no chat of a name.
        MistralError: there is nothing to learn.
    """
    if as_object and wish.output in (None, *STDOUT):
        raise UsageError("--json tells of a file, but the conversations go to stdout.", "Name a file: -o chats.jsonl")
    store = open_to_read(places().data / FILE_NAME)
    chats = _chosen(store, wish)
    conversations = (store.load(chat.name)[1] for chat in chats)
    found = lessons(conversations, branches=wish.branches, unfinished=wish.unfinished)
    if not found.conversations:
        raise _nothing(chats, found, wish)
    with open_target(wish.output, console, private=True) as target:
        for turns in found.conversations:
            target.write(as_line(turns))
    if as_object:
        console.json(
            {
                "file": wish.output,
                "chats": len(chats),
                "conversations": len(found.conversations),
                "answers": found.turns,
                "left_out": found.left_out,
            }
        )
    _say(chats, found, wish, console)


def _chosen(store: Store, wish: Wish) -> Sequence[Session]:
    """Return the chats of these names, or all, that hold what is searched; each once."""
    chats = [store.find(name) for name in wish.names] if wish.names else store.sessions()
    if wish.search is not None:
        hits = {hit.session for hit in search(store, wish.search, _ALL)}
        chats = [chat for chat in chats if chat.name in hits]
    return list({chat.id: chat for chat in chats}.values())


def _nothing(chats: Sequence[Session], found: Lessons, wish: Wish) -> MistralError:
    if found.left_out:
        told = f"None of {counted(found.left_out, 'answer')} in {counted(len(chats), 'chat')} came to an end"
        return MistralError(f"{told}.", "--unfinished takes them as they are.")
    if wish.search is not None:
        return MistralError("No chat holds that.", "See: mistral history search WORDS")
    return MistralError("There is no chat to learn from.", "Begin one: mistral chat")


def _say(chats: Sequence[Session], found: Lessons, wish: Wish, console: Console) -> None:
    answers, told = counted(found.turns, "answer"), counted(len(found.conversations), "conversation")
    verb, where = "is" if found.turns == 1 else "are", f"in {wish.output}" if wish.output else "on stdout"
    console.notice(f"{answers} of {counted(len(chats), 'chat')}, in {told}, {verb} {where}.")
    if found.left_out:
        verb = "was" if found.left_out == 1 else "were"
        left_out = f"{counted(found.left_out, 'answer')} did not come to an end and {verb} left out"
        console.notice(f"{left_out} (--unfinished takes them).")
