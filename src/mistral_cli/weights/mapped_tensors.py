"""The tensors of a checkpoint's mapped files: read in the order of the disk, copied once. Knows no model.

What is asked for in the type and the order that the files have is not even copied: the file's own bytes are the tensor.
"""

from __future__ import annotations

import contextlib
import mmap
from typing import TYPE_CHECKING

import torch

from mistral_cli.errors import CheckpointError
from mistral_cli.weights.allocate import allocate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from mistral_cli.weights.formats import Source
    from mistral_cli.weights.safetensors_header import TensorInfo

STORED = {
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "F32": torch.float32,
    "F64": torch.float64,
}
"""What safetensors calls a type of weights -> the type."""

TYPES = STORED | {
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""What safetensors calls any type -> the type."""


def stream(
    sources: Mapping[str, Source], progress: Callable[[int, int], None] | None
) -> Iterator[tuple[str, Source, mmap.mmap]]:
    """Yield our name, the source and its file, in the order of the files' bytes, which is how disks read ahead."""
    total, done = sum(source.tensor.nbytes for source in sources.values()), 0
    by_file: dict[Path, list[tuple[str, Source]]] = {}
    for name, source in sorted(sources.items(), key=lambda item: item[1].tensor.start):
        by_file.setdefault(source.tensor.file, []).append((name, source))
    for file, group in by_file.items():
        content = map_file(file)
        for name, source in group:
            yield name, source, content
            done += source.tensor.nbytes
            if progress is not None:
                progress(done, total)


def map_file(file: Path, *, large_pages: bool = False) -> mmap.mmap:
    """Return the whole file as memory.

    Args:
        file: any.
        large_pages: ask the system for pages of two megabytes. Where it grants them (Linux, file systems with large
            folios such as ext4 since 6.16 and XFS, what is not in the page cache yet), a model whose weights are read
            for each token spends no time on looking up addresses.

    Raises:
        CheckpointError: it cannot be opened or mapped.
    """
    try:
        with file.open("rb") as opened:
            # copy-on-write: nobody writes, but torch wants memory that could be
            content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be mapped: {error}.", "Check the file and its rights.") from error
    if large_pages and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them: small ones do
            content.madvise(mmap.MADV_HUGEPAGE)
    return content


def filled(source: Source, content: mmap.mmap, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the tensor in its own memory: copied, converted and put into our rotary order in one pass."""
    stored, target = stored_tensor(source.tensor, content), allocate(source.tensor.shape, dtype, device)
    if not source.interleaved_heads:
        return target.copy_(stored)
    heads, width = source.interleaved_heads, stored.shape[-1]
    pairs = stored.view(heads, -1, 2, width)  # (H, D/2, 2, dim): x0 y0 x1 y1 …
    target.view(heads, 2, -1, width).copy_(pairs.transpose(1, 2))  # x0 x1 … y0 y1 …
    return target


def readable(source: Source, content: mmap.mmap, dtype: torch.dtype) -> Tensor:
    """Return the tensor to be quantized: where nothing is to be changed, the file's own bytes, without a copy."""
    stored = stored_tensor(source.tensor, content)
    if stored.dtype == dtype and not source.interleaved_heads:
        return stored
    return filled(source, content, dtype, torch.device("cpu"))


def stored_tensor(tensor: TensorInfo, content: mmap.mmap) -> Tensor:
    """Return the bytes of a file as a tensor, without a copy where they are aligned."""
    dtype = TYPES[tensor.dtype]
    if tensor.start % dtype.itemsize:
        return torch.frombuffer(bytearray(memoryview(content)[tensor.start : tensor.end]), dtype=dtype).view(
            tensor.shape
        )
    count = tensor.nbytes // dtype.itemsize
    return torch.frombuffer(content, dtype=dtype, count=count, offset=tensor.start).view(tensor.shape)
