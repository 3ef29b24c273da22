"""A checkpoint becomes a model: find the files, check every tensor, fill the modules. Knows no tokenizer, no terminal.

Everything that can be wrong is found from configs and headers, before a byte is allocated. Then one tensor after the
other goes from the mapped file into its place, so that memory never holds the checkpoint twice.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mistral_cli.errors import CheckpointError, UsageError
from mistral_cli.model.transformer import Mistral
from mistral_cli.weights.allocate import allocate
from mistral_cli.weights.config import read_args
from mistral_cli.weights.files import find_files, read_tensors
from mistral_cli.weights.formats import EMBEDDING, LM_HEAD, Source, main_dtype, match_tensors
from mistral_cli.weights.methods import NONE, choose_method
from mistral_cli.weights.quantize import quantizable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor

__all__ = ["DTYPES", "STORED", "load_model", "read_args"]

DTYPES = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
    "float64": torch.float64,
}
"""The names under which a dtype may be asked for."""

STORED = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64}
"""What safetensors calls a type of weights -> the type."""


def load_model(
    path: str | Path,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    *,
    quantize: str = NONE,
) -> Mistral:
    """Return the model in the folder ``path``, ready to compute, in evaluation mode and without gradients.

    Args:
        path: a folder in Hugging Face's format or Mistral's own.
        dtype: what the weights become; by default what most of them are in the files.
        device: where they go.
        progress: called after each tensor with the bytes read and the bytes of all.
        quantize: a scheme of ``METHODS``: each linear layer becomes a quantized one as it is read. What it holds
            is what ``weights.quantize.quantize`` makes of the loaded model.

    Raises:
        ModelNotFoundError: no such folder.
        CheckpointError: anything about the files that is damaged, incomplete or not ours to read.
        OutOfMemoryError: the device cannot hold the model.
        UsageError: an unknown name of a dtype or of a quantization, or one that nothing computes here.
    """
    where = torch.device(device)
    method = choose_method(quantize, where)
    files = find_files(Path(path))
    args = read_args(files.config)
    tensors = read_tensors(files)
    sources = match_tensors(tensors, args, Path(path))
    wanted = _dtype(dtype) or STORED[main_dtype(source.tensor for source in sources.values())]
    if args.tie_word_embeddings and LM_HEAD in sources:
        _check_tied(sources[EMBEDDING], sources.pop(LM_HEAD))
    model = Mistral(args, device=torch.device("meta"), dtype=wanted)
    packed = quantizable(args, method) if method else {}
    for name, source, content in _stream(sources, progress):
        layer = name.removesuffix(".weight")
        if method and layer in packed:
            model.set_submodule(layer, method.quantize(_readable(source, content, wanted), where, wanted))
        else:
            _put(model, name, _filled(source, content, wanted, where))
    return model.eval()


def _dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    if not isinstance(dtype, str):
        return dtype
    if dtype not in DTYPES:
        raise UsageError(f"--dtype is {dtype!r:.40}, but must be one of {', '.join(DTYPES)}.")
    return DTYPES[dtype]


def _stream(
    sources: Mapping[str, Source], progress: Callable[[int, int], None] | None
) -> Iterator[tuple[str, Source, mmap.mmap]]:
    """Yield our name, the source and its file, in the order of the files' bytes, which is how disks read ahead."""
    total, done = sum(source.tensor.nbytes for source in sources.values()), 0
    by_file: dict[Path, list[tuple[str, Source]]] = {}
    for name, source in sorted(sources.items(), key=lambda item: item[1].tensor.start):
        by_file.setdefault(source.tensor.file, []).append((name, source))
    for file, group in by_file.items():
        content = _map(file)
        for name, source in group:
            yield name, source, content
            done += source.tensor.nbytes
            if progress is not None:
                progress(done, total)


def _map(file: Path) -> mmap.mmap:
    try:
        with file.open("rb") as opened:
            # copy-on-write: nobody writes, but torch wants memory that could be
            return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be mapped: {error}.", "Check the file and its rights.") from error


def _filled(source: Source, content: mmap.mmap, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the tensor in its own memory: copied, converted and put into our rotary order in one pass."""
    stored, target = _stored(source, content), allocate(source.tensor.shape, dtype, device)
    if not source.interleaved_heads:
        return target.copy_(stored)
    heads, width = source.interleaved_heads, stored.shape[-1]
    pairs = stored.view(heads, -1, 2, width)  # (H, D/2, 2, dim): x0 y0 x1 y1 …
    target.view(heads, 2, -1, width).copy_(pairs.transpose(1, 2))  # x0 x1 … y0 y1 …
    return target


def _readable(source: Source, content: mmap.mmap, dtype: torch.dtype) -> Tensor:
    """Return the tensor to be quantized: where nothing is to be changed, the file's own bytes, without a copy."""
    stored = _stored(source, content)
    if stored.dtype == dtype and not source.interleaved_heads:
        return stored
    return _filled(source, content, dtype, torch.device("cpu"))


def _stored(source: Source, content: mmap.mmap) -> Tensor:
    """Return the bytes of a file as a tensor, without a copy where they are aligned."""
    tensor, dtype = source.tensor, STORED[source.tensor.dtype]
    if tensor.start % dtype.itemsize:
        return torch.frombuffer(bytearray(memoryview(content)[tensor.start : tensor.end]), dtype=dtype).view(
            tensor.shape
        )
    count = tensor.nbytes // dtype.itemsize
    return torch.frombuffer(content, dtype=dtype, count=count, offset=tensor.start).view(tensor.shape)


def _put(model: Mistral, name: str, value: Tensor) -> None:
    module, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(module), leaf, nn.Parameter(value, requires_grad=False))


def _check_tied(embedding: Source, head: Source) -> None:
    """Refuse a config that ties ``lm_head`` to the embedding where the files hold two different ones."""
    ours, theirs = (_stored(source, _map(source.tensor.file)) for source in (embedding, head))
    if ours.dtype != theirs.dtype or not torch.equal(ours.view(torch.uint8), theirs.view(torch.uint8)):
        message = f"{head.tensor.file} holds an lm_head that is not the embedding, but the config ties the two."
        raise CheckpointError(message, "Set tie_word_embeddings to false if the model was trained so.")
