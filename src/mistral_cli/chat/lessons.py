"""Chats as conversations to learn from: which of their turns, under which system prompt. Knows no store, no file.

An answer is learnt under the system prompt that it was given under: where that changed, another conversation begins.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.chat.turn import MARKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mistral_cli.chat.conversation import Conversation
    from mistral_cli.chat.turn import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What chats have to teach."""

    conversations: tuple[tuple[Turn, ...], ...]
    """Turns that follow one another, all of one system prompt; never empty."""
    left_out: int
    """Answers that did not end by themselves."""

    @property
    def turns(self) -> int:
        """Return how many answers there are."""
        return sum(map(len, self.conversations))


def lessons(chats: Iterable[Conversation], *, branches: bool = False, unfinished: bool = False) -> Lessons:
    """Collect the conversations of chats.

    Args:
        chats: all of them at once: what one has said before another goes on from there is taken with the other.
        branches: take every branch, not only the one that a chat stands at.
        unfinished: take answers that were stopped, cut off, or ended as they repeated themselves.
    """
    found: list[tuple[Turn, ...]] = []
    left_out: set[int] = set()
    for path in _whole_paths(chats, branches=branches):
        left_out |= {turn.id for turn in path if turn.reason in MARKS}
        taken = path if unfinished else [turn for turn in path if turn.reason not in MARKS]
        found += [tuple(turns) for _, turns in itertools.groupby(taken, key=lambda turn: turn.system)]
    return Lessons(conversations=tuple(found), left_out=0 if unfinished else len(left_out))


def _whole_paths(chats: Iterable[Conversation], *, branches: bool) -> Sequence[tuple[Turn, ...]]:
    """Return the lines through the chats that are no beginning of another."""
    lines: dict[int, tuple[Turn, ...]] = {}
    for chat in chats:
        ends = [turn.id for turn in chat.leaves()] if branches else [chat.leaf] if chat.leaf is not None else []
        lines |= {end: chat.at(end).path() for end in ends if end not in lines}
    passed = {turn.id for line in lines.values() for turn in line[:-1]}
    return [line for end, line in lines.items() if end not in passed]


def as_line(turns: Sequence[Turn]) -> str:
    """Return one conversation as a line of JSON, in the form that training data has: ``{"messages": […]}``."""
    messages = [{"role": "system", "content": turns[0].system}] if turns[0].system else []
    for turn in turns:
        messages += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.answer}]
    return json.dumps({"messages": messages}, ensure_ascii=False) + "\n"
