"""Steps of one token that are prepared once and then only repeated: as CUDA graphs, or compiled. Draws no token.

On a GPU a step is hundreds of calls of a few microseconds each, and Python needs longer to make them than the GPU to
do them; a graph makes all of them in one. What is prepared holds for a bucket of slots (see ``static_step``); where
anything is not as it was prepared for, ``Steps`` hands back None, and the model computes the step as it always does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mistral_cli.engine.static_step import Place, StaticStep, call_layer
from mistral_cli.model.cache import BLOCK
from mistral_cli.weights.fused_parts import is_watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from mistral_cli.engine.static_step import CallLayer
    from mistral_cli.model.cache import KVCache
    from mistral_cli.model.transformer import Mistral

    Step = Callable[[], Tensor]
    Capture = Callable[[Step, torch.device], Step | None]

WARM = 2
"""Steps before a graph is captured: libraries choose their kernels and take their memory in the first."""


def capture_graph(step: Step, device: torch.device) -> Step | None:
    """Record ``step`` as a CUDA graph and return what repeats it; None where something in it cannot be recorded.

    The logits are always in the same memory, until the next step.
    """
    try:
        with torch.cuda.device(device):
            side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(side):
                for _ in range(WARM):
                    step()
            torch.cuda.current_stream(device).wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                logits = step()
    except RuntimeError:  # a call that waits for the device, or no memory for a second copy of what is computed
        return None

    def repeat() -> Tensor:
        graph.replay()
        return logits

    return repeat


def keep_calls(step: Step, device: torch.device) -> Step:  # noqa: ARG001 (as ``capture_graph``)
    """Return ``step`` itself: where calls cost little beside what they compute, nothing is recorded."""
    return step


class Steps:
    """The prepared steps of one model, one for each bucket of ``BLOCK`` slots.

    Modules that are replaced (by an adapter) or watched by a hook are noticed when an answer begins, and then the
    model's own step is taken until they are as they were.

    Args:
        model: as it will be used: what is attached to it later is not prepared for.
        capture: how a step is made quick to repeat.
        call: how a layer is called.
    """

    def __init__(self, model: Mistral, capture: Capture = capture_graph, call: CallLayer = call_layer) -> None:
        self._model = model
        self._capture = capture
        self._call = call
        self._place = Place(model.device)
        self._modules = list(model.modules())
        self._able = model.args.moe is None  # which experts a token takes is asked for in the middle of a step
        self._ready: dict[int, Step] = {}
        self._next: int | None = None  # tokens in the cache after the last step that was ours
        self._weights: tuple[int, ...] = ()
        self._buffers: tuple[int, ...] = ()

    @torch.inference_mode()
    def __call__(self, token: int, cache: KVCache) -> Tensor | None:
        """Read ``token`` into ``cache`` and return the logits (1, 1, V) after it, in memory that the next step reuses.

        None, and a cache that holds what it held: this step is not prepared for.

        Raises:
            ContextError: the cache is full.
        """
        if not self._able or not _is_plain(cache):
            return None
        cache.reserve(1)
        if any(layer.first for layer in cache.layers):  # a window moved on to make room
            return None
        if cache.length != self._next and not self._begin(cache):
            return None
        step = self._prepared(cache, token)
        if step is None:
            return None
        logits = step()
        cache.advance(1)
        self._next = cache.length
        return logits

    def _begin(self, cache: KVCache) -> bool:
        """Prepare for an answer that goes on from what others wrote; return whether the model is as it was."""
        self._next = None
        modules = list(self._model.modules())
        if len(modules) != len(self._modules) or any(map(_is_not, modules, self._modules)):
            return False
        if any(map(is_watched, modules)):
            return False
        weights = tuple(weight.data_ptr() for weight in (*self._model.parameters(), *self._model.buffers()))
        if weights != self._weights:
            self._weights = weights
            self._ready.clear()
        _clear_behind(cache)
        return True

    def _prepared(self, cache: KVCache, token: int) -> Step | None:
        """Return the step of the bucket that the next token falls into; None where it cannot be prepared."""
        buffers = tuple(part.data_ptr() for layer in cache.layers for part in (layer.keys, layer.values))
        if buffers != self._buffers:
            self._buffers = buffers
            self._ready.clear()
            _clear_behind(cache)
        self._place.put(token, cache.length)
        slots = min(-(-(cache.length + 1) // BLOCK) * BLOCK, *(layer.slots for layer in cache.layers))
        if slots not in self._ready:
            step = self._capture(StaticStep(self._model, cache, slots, self._place, self._call), self._model.device)
            if step is None:
                self._able = False
                return None
            self._ready[slots] = step
        return self._ready[slots]


def _is_plain(cache: KVCache) -> bool:
    if cache.batch_size != 1 or cache.padding is not None:
        return False
    return all(layer.scales is None and layer.first == 0 for layer in cache.layers)


def _is_not(one: object, other: object) -> bool:
    return one is not other


def _clear_behind(cache: KVCache) -> None:
    """Write 0 behind what the cache holds: a NaN that lies there would get through every mask."""
    for layer in cache.layers:
        layer.keys[:, :, cache.length :] = 0
        layer.values[:, :, cache.length :] = 0
