"""The names of chats: what may be one, and one made of the first words. Opens no file."""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from mistral_cli.errors import UsageError
from mistral_cli.settings.names import problem_of

if TYPE_CHECKING:
    from collections.abc import Collection

LAST: Final = "last"
"""Names the chat that was talked in last, so that no chat can be called so."""
TITLE_WORDS: Final = 6
TITLE_LENGTH: Final = 40


def check_name(name: str) -> str:
    """Return ``name`` if a chat, and so a file that it is exported to, may be called so.

    Raises:
        UsageError: it is empty or too long, leads to another folder, looks like a flag, or no file can be called so.
    """
    problem = _problem(name)
    if problem:
        raise UsageError(
            f"{name!a:.100} cannot be the name of a chat: {problem}.", "Letters, digits, - and . are fine."
        )
    return name


def _problem(name: str) -> str:
    """Return what is wrong with a name, or nothing."""
    if name.casefold() == LAST:
        return "it means the chat that was talked in last"
    return problem_of(name)


def title(question: str) -> str:
    """Return a name made of the first words of a question: ``what-is-a-kv-cache``; ``chat`` where there are none."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", question[:500]).lower())
    name = ""
    for word in words[:TITLE_WORDS]:
        longer = f"{name}-{word}" if name else word[:TITLE_LENGTH]
        if len(longer) > TITLE_LENGTH:
            break
        name = longer
    name = name.strip("_")
    return f"chat-{name}".rstrip("-") if _problem(name) else name


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that is most like ``name``, if any is."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return near[0] if near else None
