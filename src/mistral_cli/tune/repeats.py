"""Rows that say what a row before them says. Knows no ids; remembers of a row no more than a digest.

What occurs twice is learnt twice as much, and one that is both learnt and kept apart makes a model look better than it
is: nobody who wrote a file by hand, or joined two, sees it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mistral_cli.text.messages import Conversation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mistral_cli.tune.formats import Example
    from mistral_cli.tune.samples import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """A row that says what another says."""

    number: int
    first: int
    """The row that said it first."""
    is_whole: bool
    """Whether all of it is the same; else only what is asked is, and another answer is given."""


@dataclass(slots=True)
class Repeats:
    """The repeats among rows that are looked at one after the other."""

    found: list[Repeat] = field(default_factory=list)
    _wholes: dict[bytes, int] = field(default_factory=dict)
    """Digest of a row -> the first that has it."""
    _asked: dict[bytes, int] = field(default_factory=dict)
    """Digest of what a row asks -> the first that asks it."""

    def look(self, number: int, example: Example) -> None:
        """Take note of a row, and of whether all of it, or what it asks, was there before."""
        first = self._wholes.setdefault(_digest(example), number)
        if first != number:
            self.found.append(Repeat(number=number, first=first, is_whole=True))
            return
        asked = _asked(example)
        first = number if asked is None else self._asked.setdefault(_digest(asked), number)
        if first != number:
            self.found.append(Repeat(number=number, first=first, is_whole=False))


def _asked(example: Example) -> object:
    """Return what stands before the first answer; None where nothing does."""
    if not isinstance(example, Conversation):
        return example.prompt or None
    before = example.messages[: [message.role for message in example.messages].index("assistant")]
    return (before, example.tools) if before else None


def _digest(value: object) -> bytes:
    return hashlib.sha256(repr(value).encode(errors="surrogatepass")).digest()


def same_rows(samples: Iterable[Sample]) -> list[tuple[int, ...]]:
    """Return the numbers of the rows, those of which the very same is learnt together; in the order of the first."""
    digests: dict[int, bytes] = {}
    for sample in samples:
        digests[sample.number] = _digest((digests.get(sample.number), sample.ids, sample.trained))
    alike: dict[bytes, tuple[int, ...]] = {}
    for number, digest in sorted(digests.items()):
        alike[digest] = (*alike.get(digest, ()), number)
    return list(alike.values())
