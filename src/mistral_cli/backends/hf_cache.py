"""What transformers' models remember of a sequence, kept from answer to answer. Knows ids, no text and no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from mistral_cli.engine.prefix import common_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_GROWTH = 256
"""Tokens by which the memory of a layer grows at least; from there on it doubles."""


class KeptLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed
    """One layer's keys and values (1, H, T, D) in memory that grows by doubling and is written in place.

    transformers' own layer copies everything at each token. A layer with a sliding window keeps all of its tokens, too:
    the mask looks after the window, and what was asked before can be gone back to.
    """

    def update(self, key_states: Tensor, value_states: Tensor, *_args: object, **_kwargs: object) -> Any:
        """Append the new tokens; return keys and values of all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._all_keys, self._all_values = key_states[..., :0, :], value_states[..., :0, :]
            self.keys, self.values = self._all_keys, self._all_values
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        if end > self._all_keys.shape[-2]:
            self._all_keys = _grown(self._all_keys, self.keys, end)
            self._all_values = _grown(self._all_values, self.values, end)
        self._all_keys[..., start:end, :] = key_states
        self._all_values[..., start:end, :] = value_states
        self.keys, self.values = self._all_keys[..., :end, :], self._all_values[..., :end, :]
        return self.keys, self.values

    def cut(self, length: int) -> None:
        """Keep the first ``length`` tokens."""
        if self.is_initialized:
            self.keys, self.values = self._all_keys[..., :length, :], self._all_values[..., :length, :]


def _grown(memory: Tensor, used: Tensor, needed: int) -> Tensor:
    """Return larger memory that begins with ``used``."""
    size = max(needed, 2 * memory.shape[-2], _GROWTH)
    larger = memory.new_empty((*memory.shape[:-2], size, memory.shape[-1]))
    larger[..., : used.shape[-2], :] = used
    return larger


class KeptSequence:
    """The cache of the last sequence and the ids in it; both always say the same.

    Args:
        config: of the model: which layers there are.
    """

    def __init__(self, config: Any) -> None:
        self._config = config
        self.ids: list[int] = []
        self.cache = self._new()
        self.rewinds = all(isinstance(layer, KeptLayer) for layer in self.cache.layers)
        """Whether tokens can be taken back: not from a recurrent state, which is why it is read anew, and in one go."""

    def keep(self, prompt: Sequence[int]) -> int:
        """Cut to what ``prompt`` shares, but for its last id, which is computed anew; return how many ids that is."""
        if not self.rewinds:
            self.forget()
            return 0
        del self.ids[min(common_prefix(self.ids, prompt), len(prompt) - 1) :]
        self.cut()
        return len(self.ids)

    def add(self, ids: Sequence[int]) -> None:
        """Note that ``ids`` are in the cache now."""
        self.ids.extend(ids)

    def cut(self) -> None:
        """Take back what the layers hold beyond the ids: they were left in the middle, or the ids became fewer."""
        if not self.rewinds:
            self.forget()
            return
        for layer in self.cache.layers:
            layer.cut(len(self.ids))

    def forget(self) -> None:
        """Empty both."""
        self.ids.clear()
        self.cache = self._new()

    def _new(self) -> DynamicCache:
        cache = DynamicCache(config=self._config)
        if all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers):
            cache.layers = [KeptLayer() for _ in cache.layers]
        return cache
