"""What of a conversation fits into a model's context, and which of its oldest turns are left out where it does not.

Handed a function that counts tokens; knows no terminal and no tensor. What is left out of a prompt stays in the tree
and in the store: each turn's record tells how many turns before it the model was not sent.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from mistral_cli.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mistral_cli.chat.conversation import Conversation
    from mistral_cli.chat.turn import Turn
    from mistral_cli.contract import Message, ModelInfo, SamplingParams

    Count = Callable[[Sequence[Message]], int]
    """Returns how many tokens messages take as a prompt."""

WARNS_AT: Final = 0.8
"""The part of the context from which on it is said that it fills up."""
USUAL_ROOM: Final = 256
"""Tokens kept for an answer whose length nobody limits; an eighth of a smaller context."""
FREED: Final = 0.25
"""The part of the context that is free once turns were left out, if the question leaves so much: with less, each of the
next questions would leave out another turn, and the whole prompt would have to be read again each time."""
_FORMAT: Final = 16
"""Tokens that a chat format puts around one message, at most; a little more does no harm."""
_HOPELESS: Final = 32
"""Characters a token from which on a question is not even counted here: the back end refuses it at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be answered, by whom."""

    after: Conversation
    question: str
    begun: tuple[Message, ...] = ()
    """The beginning of the answer, which it goes on from."""
    again: Turn | None = None
    """The turn whose question is answered once more: its prompt stays as it was."""
    params: SamplingParams
    info: ModelInfo

    @property
    def total(self) -> int:
        """Tokens that fit, prompt and answer together."""
        return self.info.context

    @property
    def room(self) -> int:
        """Tokens to keep for the answer: what was asked for, but half of the context at most."""
        if self.params.max_tokens is None:
            return min(USUAL_ROOM, self.total // 8)
        return min(int(self.params.max_tokens), self.total // 2)

    @property
    def left_out(self) -> int:
        """Of the oldest turns, how many are left out already."""
        return max(left_out(self.after, self.info), _left_out_of(self.again, self.info))

    def prompt(self, out: int) -> tuple[Message, ...]:
        """Return what the model is sent, without the ``out`` oldest turns."""
        return (*self.after.prompt(self.question, left_out=out), *self.begun)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Which turns have to be left out."""

    first: int
    """The number of the first of them, from 1."""
    last: int
    freed: int
    """Tokens that this frees."""
    needed: int
    """Tokens that the prompt takes with them."""

    def __str__(self) -> str:
        """Return which they are and what they take: ``turns 1 to 4 (1,905 tokens)``."""
        turns = f"turn {self.last}" if self.first == self.last else f"turns {self.first:,} to {self.last:,}"
        return f"{turns} ({self.freed:,} tokens)"


def used_tokens(turn: Turn) -> int:
    """Return what stands in the context once ``turn`` was answered; 0 where that is not known."""
    record = turn.record
    return record.prompt_tokens + record.answer_tokens if record.prompt_tokens else 0


def left_out(after: Conversation, info: ModelInfo) -> int:
    """Return how many of the oldest turns the last answer was made without; none where another model made it."""
    path = after.path()
    return _left_out_of(path[-1], info) if path else 0


def overflowing(request: Request, count: Count) -> Drop | None:
    """Return what has to be left out for the answer to have room; None where nothing has to be, or can be.

    The fewest turns are left out that free ``FREED`` of the context, or else the room for the answer. The tokens of the
    prompt are counted only where it may be too long, and then as often as it takes to halve the number of turns down
    to one.

    Raises:
        ContextError: the question alone is too long; the message holds both numbers.
    """
    out, turns = request.left_out, len(request.after.path())
    if out >= turns or _fits_surely(request, out) or _is_hopeless(request):
        return None

    @cache
    def size(without: int) -> int:
        return count(request.prompt(without))

    if size(out) + request.room <= request.total:
        return None
    if size(turns) >= request.total:
        raise _too_long(size(turns), request.total)
    last = _fewest(size, range(out + 1, turns + 1), request)
    return Drop(first=out + 1, last=last, freed=size(out) - size(last), needed=size(out))


def _fewest(size: Callable[[int], int], choices: range, request: Request) -> int:
    for room in (max(request.room, int(request.total * FREED)), request.room):
        if size(choices[-1]) + room <= request.total:
            return choices[bisect.bisect_left(choices, x=True, key=lambda out: size(out) + room <= request.total)]
    return choices[-1]


def refusal(drop: Drop, request: Request) -> ContextError:
    """Return the error for a request that overflows where nothing may be left out."""
    return ContextError(
        f"The prompt takes {drop.needed:,} tokens and {request.room:,} are kept for the answer, but the context holds "
        f"{request.total:,}.",
        "--overflow drop-oldest leaves out the oldest turns, /new begins a new chat.",
    )


def _too_long(tokens: int, total: int) -> ContextError:
    message = f"The question alone takes {tokens:,} tokens, but the context holds {total:,}, answer included."
    return ContextError(message, "Shorten it, or see whether the model can hold more (--context, mistral show).")


def _is_same(turn: Turn, info: ModelInfo) -> bool:
    return (turn.record.model, turn.record.context) == (info.name, info.context)


def _left_out_of(turn: Turn | None, info: ModelInfo) -> int:
    return turn.record.left_out if turn is not None and _is_same(turn, info) else 0


def _fits_surely(request: Request, out: int) -> bool:
    """Tell, without counting, whether there is room: no text takes more tokens than bytes."""
    last, prompt = request.after.path()[-1], request.prompt(out)
    known = used_tokens(last) if _is_same(last, request.info) and last.system == request.after.system else 0
    if known and last.record.left_out == out:
        prompt = prompt[len(prompt) - len(request.begun) - 1 :]  # what comes after the last answer
    else:
        known = 0
    return known + sum(map(_most_tokens, prompt)) + request.room <= request.total


def _most_tokens(message: Message) -> int:
    return _FORMAT + (len(message.ids) or len(message.content.encode(errors="replace")))


def _is_hopeless(request: Request) -> bool:
    return len(request.question) > _HOPELESS * request.total
