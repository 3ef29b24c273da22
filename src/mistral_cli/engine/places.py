"""Where the answers of a batch are made, and what one prompt may take over from another. Computes nothing.

Prompts of a batch often begin alike: a system prompt, a document with a question behind it. The beginning is read once,
by the first of them; the others wait for it and copy its keys and values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.engine.prefix import KeptSequence, common_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mistral_cli.engine.answer import Answer

WORTH_WAITING = 16
"""A prompt waits for another where they begin with so many ids alike; fewer are read at once along with the rest."""


@dataclass(slots=True, eq=False, kw_only=True)
class Row:
    """An answer in its place."""

    index: int
    """The number of its request."""
    answer: Answer
    place: KeptSequence
    donor: Row | None = None
    """Whose beginning this prompt has and waits for."""
    shared: int = 0
    """How many ids that beginning is."""
    begun: bool = False
    """Whether reading has begun."""
    last: int | None = None
    """The id drawn last, which is not in the cache yet; None while the prompt is read."""

    def next_chunk(self, size: int) -> list[int]:
        """Return up to ``size`` ids of the prompt that are not in the cache."""
        start = len(self.place.ids)
        return self.answer.prompt[start : start + size]


class Places:
    """The rows of a batch and the places that are free. A place keeps what it held, for a prompt that begins so.

    Args:
        places: one or more, each of one sequence.
    """

    def __init__(self, places: Iterable[KeptSequence]) -> None:
        self.rows: list[Row] = []
        """In the order in which they came."""
        self._free = list(places)

    @property
    def has_room(self) -> bool:
        """Tell whether another row can come."""
        return bool(self._free)

    def take(self, index: int, answer: Answer) -> Row:
        """Give an answer the free place that holds most of its prompt already."""
        place = max(self._free, key=lambda free: (common_prefix(free.ids, answer.prompt), -len(free.ids)))
        self._free.remove(place)
        place.keep(answer.prompt)
        row = Row(index=index, answer=answer, place=place)
        self._find_donor(row)
        self.rows.append(row)
        return row

    def leave(self, row: Row) -> None:
        """Free the place of a row."""
        self.rows.remove(row)
        self._free.append(row.place)

    def may_read(self, row: Row) -> bool:
        """Tell whether ``row`` can be read now: its donor, if any, has been, and its beginning is taken over."""
        if row.donor is not None and row.donor in self.rows and len(row.donor.place.ids) < row.shared:
            return False
        if row.donor is not None:
            held = row.donor.place
            if held.ids[: row.shared] == row.answer.prompt[: row.shared]:  # not if it left half read
                row.place.adopt(held, row.shared)
                row.donor = None
            else:
                self._find_donor(row)
                return row.donor is None
        return True

    def _find_donor(self, row: Row) -> None:
        """Choose, of the rows that came before, the one that begins most alike, where it is worth waiting for."""
        row.donor, row.shared = None, len(row.place.ids) + WORTH_WAITING - 1
        for other in self.rows:
            if other is row:
                return
            alike = min(common_prefix(other.answer.prompt, row.answer.prompt), len(row.answer.prompt) - 1)
            if alike > row.shared:
                row.donor, row.shared = other, alike
