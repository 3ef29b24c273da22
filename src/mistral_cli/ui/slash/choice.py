"""What completion offers: a word, what it is, and what it takes the place of. Knows no keyboard and no command."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mistral_cli.ui.repl import Repl

    Complete = Callable[[Repl, str], Iterable["Choice"]]
    """Returns what the end of the words typed so far may become; called at each key, so it looks nothing up twice."""


class Choice(NamedTuple):
    """One word that what is being typed may become."""

    text: str
    about: str = ""
    """What it is, beside it."""
    instead: int = 0
    """How many characters before the cursor it takes the place of."""


def matching(word: str, choices: Iterable[Choice]) -> list[Choice]:
    """Return the choices that begin with ``word``, then those that hold it; each is to take its place."""
    begun = word.casefold()
    beginning: list[Choice] = []
    holding: list[Choice] = []
    for choice in choices:
        name = choice.text.casefold()
        if name.startswith(begun):
            beginning.append(choice._replace(instead=len(word)))
        elif begun in name:
            holding.append(choice._replace(instead=len(word)))
    return beginning + holding


def one_of(*choices: Choice) -> Complete:
    """Return what completes one word of a few."""
    return lambda _repl, typed: matching(typed, choices)


def numbered(word: str, abouts: Iterable[str]) -> list[Choice]:
    """Return the numbers from 1 that begin with ``word``, each with what it stands for."""
    choices = (Choice(f"{number}", about, len(word)) for number, about in enumerate(abouts, start=1))
    return [choice for choice in choices if choice.text.startswith(word)]
