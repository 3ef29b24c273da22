"""Going on from a place inside an answer: which words and ids stand before it. Knows no model and no terminal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mistral_cli.contract import Message
from mistral_cli.errors import UsageError

if TYPE_CHECKING:
    from mistral_cli.chat.turn import Turn
    from mistral_cli.contract import Done, TextDelta, TokenInfo

CANDIDATES = 5
"""How many of the likeliest tokens are kept with each token of an answer."""


@runtime_checkable
class Writer(Protocol):
    """A back end that can put words into the model's mouth."""

    def encode_words(self, text: str, *, begins: bool) -> tuple[int, ...]:
        """Return the ids of ``text`` inside an answer, or at its beginning."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What of an answer stays before it is gone on from. A token's text is what it added to the screen."""

    text: str = ""
    ids: tuple[int, ...] = ()
    """Empty where the words alone are known: the answer ended inside a token, at a stop string."""
    tokens: tuple[TokenInfo, ...] = ()

    def messages(self) -> tuple[Message, ...]:
        """Return the message that the model goes on from; none where nothing was said yet."""
        if not self.text and not self.ids:
            return ()
        return (Message(role="assistant", content=self.text, ids=self.ids, prefix=True),)

    def with_ids(self, tokens: tuple[TokenInfo, ...]) -> Beginning:
        """Return it with tokens that were not drawn but chosen; their text comes with the answer."""
        forced = tuple(replace(token, text="") for token in tokens)
        return replace(self, ids=self.ids + tuple(token.id for token in tokens), tokens=self.tokens + forced)

    def joined(self, done: Done) -> Done:
        """Return the end of an answer that went on from here as that of the whole answer."""
        ids = self.ids + done.ids if self.ids or not self.text else ()
        return replace(done, text=self.text + done.text, ids=ids)

    def all_tokens(self, drawn: tuple[TokenInfo, ...]) -> tuple[TokenInfo, ...]:
        """Return the tokens of the whole answer; none where those before this place are not known."""
        return self.tokens + drawn if self.ids or not self.text else ()


def shown_tokens(event: TextDelta) -> tuple[TokenInfo, ...]:
    """Return the tokens of an event with what they added to the text, so that all of them, joined, are the answer."""
    return tuple(replace(token, text=event.text) for token in event.tokens)


def known_tokens(turn: Turn) -> tuple[TokenInfo, ...]:
    """Return the tokens that wholly belong to an answer: where a stop string ended it, not those it stands in."""
    tokens = turn.tokens
    if turn.ids or not tokens:
        return tokens[: len(turn.ids)]
    last = max(number for number, token in enumerate(tokens) if token.text or number == 0)
    return tokens[:last]


def whole(turn: Turn) -> Beginning:
    """Return all of an answer, to go on from its end."""
    tokens = known_tokens(turn)
    if not turn.ids:
        return Beginning(text=turn.answer)
    if len(tokens) != len(turn.ids):
        return Beginning(text=turn.answer, ids=turn.ids)
    return Beginning(text="".join(token.text for token in tokens), ids=turn.ids, tokens=tokens)


def first(tokens: tuple[TokenInfo, ...], count: int) -> Beginning:
    """Return the first ``count`` tokens of an answer."""
    kept = tokens[:count]
    return Beginning(text="".join(token.text for token in kept), ids=tuple(token.id for token in kept), tokens=kept)


def place_of(tokens: tuple[TokenInfo, ...], words: str) -> int:
    """Return how many tokens stand before the one in which ``words`` last begin.

    Raises:
        UsageError: the words do not stand there.
    """
    at = "".join(token.text for token in tokens).rfind(words)
    if at < 0 or not words:
        raise UsageError(f"{words!r} does not stand in the answer.", "/show shows it.")
    length = 0
    for number, token in enumerate(tokens):
        length += len(token.text)
        if length > at:
            return number
    return len(tokens)
