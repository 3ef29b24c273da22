"""Phrasing patterns become sentences. Knows no topic and no model; all randomness is passed in.

A pattern is text in which ``{a|b}`` stands for one of a and b (nesting is allowed, either may be empty) and ``@word``
for one of the choices that the table of words gives it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

_WORD = re.compile(r"@([A-Za-z]+)")


def expand(pattern: str, words: Mapping[str, str], rng: Random) -> str:
    """Return one sentence of ``pattern``.

    A group is drawn before those inside it, so that each of its alternatives is equally likely.

    Raises:
        ValueError: braces that do not pair.
    """
    pattern = _WORD.sub(lambda match: words.get(match[1], match[0]), pattern)
    while "{" in pattern:
        start = pattern.index("{")
        end = _closing(pattern, start)
        pattern = pattern[:start] + rng.choice(_alternatives(pattern[start + 1 : end])) + pattern[end + 1 :]
    return " ".join(pattern.split())


def count(pattern: str, words: Mapping[str, str]) -> int:
    """Return how many sentences ``pattern`` stands for (equal ones counted apart)."""
    pattern = _WORD.sub(lambda match: words.get(match[1], match[0]), pattern)
    total, position = 1, 0
    while (start := pattern.find("{", position)) >= 0:
        end = _closing(pattern, start)
        total *= sum(count(choice, words) for choice in _alternatives(pattern[start + 1 : end]))
        position = end + 1
    return total


def _closing(pattern: str, start: int) -> int:
    depth = 0
    for position in range(start, len(pattern)):
        depth += (pattern[position] == "{") - (pattern[position] == "}")
        if depth == 0:
            return position
    raise ValueError(f"No brace closes the one at {start} in {pattern!r}.")


def _alternatives(group: str) -> list[str]:
    parts, depth, begin = [], 0, 0
    for position, character in enumerate(group):
        depth += (character == "{") - (character == "}")
        if character == "|" and depth == 0:
            parts.append(group[begin:position])
            begin = position + 1
    return [*parts, group[begin:]]
