"""What a cached conversation may reuse. Knows ids and one cache; computes nothing.

The prompt of the next turn rarely has the last one as its beginning (the system prompt of v2, v3 and v3-tekken moves),
so what counts is the longest common prefix of ids, whatever they mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.model.cache import WindowRolledError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistral_cli.model.cache import KVCache


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many ids both begin with."""
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return min(len(one), len(other))


class KeptSequence:
    """The cache of the last sequence and the ids in it; both always say the same.

    Args:
        cache: empty, for one row.
    """

    def __init__(self, cache: KVCache) -> None:
        self.cache = cache
        self.ids: list[int] = []

    def keep(self, prompt: Sequence[int]) -> tuple[int, bool]:
        """Crop to what ``prompt`` shares, but for its last id: that one is computed anew, for its logits.

        Returns:
            The ids kept, and whether half of ``prompt`` or more is lost because a sliding window has rolled past it.
        """
        length = min(common_prefix(self.ids, prompt), len(prompt) - 1)
        try:
            self.cache.crop(length)
        except WindowRolledError:
            self.forget()
            return 0, 2 * length >= len(prompt)
        del self.ids[length:]
        return length, False

    def adopt(self, other: KeptSequence, length: int) -> bool:
        """Hold the first ``length`` ids of ``other`` instead of what was held; nothing where a window has rolled past.

        Returns:
            Whether it could be done.
        """
        self.forget()
        try:
            self.cache.copy_from(other.cache, length)
        except WindowRolledError:
            return False
        self.ids[:] = other.ids[:length]
        return True

    def add(self, ids: Sequence[int]) -> None:
        """Note that ``ids`` are in the cache now."""
        self.ids.extend(ids)

    def forget(self) -> None:
        """Empty both."""
        self.cache.crop(0)
        self.ids.clear()
