"""Keys and values to and from a kept cache's file. Knows layers and parts; knows no folder.

What is written is what the cache holds, codes and scales where it holds codes, so what comes back is the same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mistral_cli.engine.kv_file import DamagedError, read_part
from mistral_cli.weights.mapped_tensors import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import FileIO

    from torch import Tensor

    from mistral_cli.engine.kv_file import Kept, Part, Writer
    from mistral_cli.engine.prefix import KeptSequence
    from mistral_cli.model.cache import KVCache

_WORDS = {dtype: word for word, dtype in TYPES.items()}


def held_bytes(cache: KVCache) -> int:
    """Return the bytes of what the cache holds, room for more tokens not counted."""
    return sum(part.nbytes for layer in cache.layers for part in layer.held(cache.length))


def add_layers(writer: Writer, cache: KVCache) -> None:
    """Write what every layer holds.

    Raises:
        OSError: as ``Writer.add``.
    """
    for layer in cache.layers:
        for part in layer.held(cache.length):  # (1, H, T, D)
            writer.add(_WORDS[part.dtype], tuple(part.shape[1:]), map(_bytes, part[0]))


def _bytes(head: Tensor) -> memoryview:
    """Return the bytes of one head (T, D); on the CPU they are where they lie."""
    content: memoryview = head.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    return content


def earliest(kept: Kept, cache: KVCache) -> int:
    """Return the fewest tokens of a kept cache that can be gone on from: its windows have moved past the rest."""
    pairs = zip(kept.about.firsts, cache.layers, strict=False)
    return max((first + layer.window - 1 for first, layer in pairs if first and layer.window), default=0)


def load_layers(kept: Kept, ids: list[int], length: int, into: KeptSequence, check: Callable[[], None]) -> None:
    """Hold the first ``length`` ids of a kept cache, and their keys and values; where it fails, nothing.

    Raises:
        OSError: it cannot be read.
        DamagedError: the bytes are not those that were written, or not of this model's shape.
        Exception: what ``check``, called before each layer, raises.
    """
    into.forget()
    try:
        with kept.path.open("rb", buffering=0) as file:
            layers = _layers(file, kept, into.cache)
            for layer, first, tensors in zip(into.cache.layers, kept.about.firsts, layers, strict=True):
                check()
                layer.fill(first, [tensor[:, :, : length - first] for tensor in tensors])
    except BaseException:
        into.forget()
        raise
    into.cache.advance(length)
    into.add(ids[:length])


def _layers(file: FileIO, kept: Kept, cache: KVCache) -> Iterator[list[Tensor]]:
    """Yield the tensors (1, H, T, D) of each layer, after the file's shapes are found to be this cache's."""
    shapes = [
        [(_WORDS[part.dtype], (part.shape[1], kept.about.tokens - first, part.shape[3])) for part in layer.held(0)]
        for layer, first in zip(cache.layers, kept.about.firsts, strict=False)
    ]
    parts = kept.parts[1:]
    expected = [shape for layer in shapes for shape in layer]
    if len(kept.about.firsts) != len(cache.layers) or expected != [(part.dtype, part.shape) for part in parts]:
        raise DamagedError("it is of another shape")
    at = iter(parts)
    for layer in shapes:
        yield [_tensor(file, next(at)) for _ in layer]


def _tensor(file: FileIO, part: Part) -> Tensor:
    return torch.frombuffer(read_part(file, part), dtype=TYPES[part.dtype]).view(1, *part.shape)
