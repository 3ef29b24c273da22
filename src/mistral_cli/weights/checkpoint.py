"""A checkpoint becomes a model: find the files, check every tensor, fill the modules. Knows no tokenizer, no terminal.

Everything that can be wrong is found from configs and headers, before a byte is allocated. Then one tensor after the
other goes from the mapped file into its place, so that memory never holds the checkpoint twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mistral_cli.errors import CheckpointError, UsageError
from mistral_cli.model.transformer import Mistral
from mistral_cli.weights.bitsandbytes_checkpoint import take_over
from mistral_cli.weights.config import read_args
from mistral_cli.weights.files import find_files, read_tensors
from mistral_cli.weights.formats import EMBEDDING, LM_HEAD, main_dtype, match_tensors
from mistral_cli.weights.fuse import fuse
from mistral_cli.weights.mapped_tensors import STORED, filled, map_file, readable, stored_tensor, stream
from mistral_cli.weights.methods import NONE, choose_method
from mistral_cli.weights.prequantized import check_asked, stated_scheme
from mistral_cli.weights.quantize import quantizable, quantized_bytes
from mistral_cli.weights.quantized_cache import NotKeptError
from mistral_cli.weights.quantized_model import Form, keep, mapped
from mistral_cli.weights.taken_over import bytes_of, can_hold, method_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.weights.files import CheckpointFiles
    from mistral_cli.weights.formats import Source
    from mistral_cli.weights.methods import Method
    from mistral_cli.weights.prequantized import Quantized
    from mistral_cli.weights.quantized_cache import QuantizedCache
    from mistral_cli.weights.quantized_file import Stored
    from mistral_cli.weights.quantized_model import Part

__all__ = ["DTYPES", "load_model", "read_args"]

DTYPES = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
    "float64": torch.float64,
}
"""The names under which a dtype may be asked for."""


def load_model(
    path: str | Path,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    *,
    quantize: str = NONE,
    cache: QuantizedCache | None = None,
) -> Mistral:
    """Return the model in the folder ``path``, ready to compute, in evaluation mode and without gradients.

    Args:
        path: a folder in Hugging Face's format or Mistral's own.
        dtype: what the weights become; by default what most of them are in the files.
        device: where they go.
        progress: called after each tensor with the bytes read and the bytes of all.
        quantize: a scheme of ``METHODS``: each linear layer becomes a quantized one as it is read. What it holds
            is what ``weights.quantize.quantize`` makes of the loaded model.
        cache: where the quantized weights are kept: the first load writes them, later ones map them and do not look at
            the checkpoint's. Without one they are made anew.

    Raises:
        ModelNotFoundError: no such folder.
        CheckpointError: anything about the files that is damaged, incomplete or not ours to read.
        OutOfMemoryError: the device cannot hold the model.
        UsageError: an unknown name of a dtype or of a quantization, or one that nothing computes here.
    """
    reading = _Reading.of(Path(path), _dtype(dtype), torch.device(device), quantize, progress)
    model = Mistral(reading.args, device=torch.device("meta"), dtype=reading.dtype)
    for name, part in _kept_parts(reading, cache) or reading.parts():
        _put(model, name, part)
    model.eval()
    fuse(model)
    return model


def keep_model(
    path: Path,
    dtype: torch.dtype,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
    *,
    quantize: str,
    cache: QuantizedCache,
) -> Stored:
    """Return the quantized copy that ``load_model`` would map; it is made unless it is there.

    Raises:
        NotKeptError: it cannot be written.
        ModelNotFoundError, CheckpointError, OutOfMemoryError, UsageError: as ``load_model``; also where nothing is
            to be quantized.
    """
    reading = _Reading.of(path, dtype, device, quantize, progress)
    stored = keep(cache, reading.files, reading.form, reading) if reading.form else None
    if stored is None:
        raise UsageError(f"Nothing of {path} would be kept: it is loaded as it is.", "Leave it so.")
    return stored


def _kept_parts(reading: _Reading, cache: QuantizedCache | None) -> Iterator[Part] | None:
    """Return the parts as they are kept; None where nothing is to be kept, or can be, which the cache's owner hears."""
    form = reading.form
    if cache is None or form is None:
        return None
    try:
        stored = keep(cache, reading.files, form, reading)
    except NotKeptError as error:
        cache.warn(str(error))
        return None
    return mapped(stored, form) if stored else None


def _dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    if not isinstance(dtype, str):
        return dtype
    if dtype not in DTYPES:
        raise UsageError(f"--dtype is {dtype!r:.40}, but must be one of {', '.join(DTYPES)}.")
    return DTYPES[dtype]


def _main_dtype(files: CheckpointFiles) -> torch.dtype:
    """Return what most of the bytes are; a type that weights cannot have is refused by name when they are read."""
    return STORED.get(main_dtype(read_tensors(files).values()), torch.bfloat16)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """A checkpoint, and what its tensors become."""

    files: CheckpointFiles
    args: ModelArgs
    method: Method | None
    """How we quantize it."""
    own: str | None
    """What it is quantized to already."""
    dtype: torch.dtype
    device: torch.device
    progress: Callable[[int, int], None] | None

    @classmethod
    def of(
        cls,
        path: Path,
        dtype: torch.dtype | None,
        device: torch.device,
        scheme: str,
        progress: Callable[[int, int], None] | None,
    ) -> _Reading:
        method, files = choose_method(scheme, device), find_files(path)
        own = stated_scheme(files.config)
        if own and method:
            check_asked(scheme, own)
        return cls(
            files=files,
            args=read_args(files.config),
            method=None if own else method,
            own=own,
            dtype=dtype or _main_dtype(files),
            device=device,
            progress=progress,
        )

    @property
    def form(self) -> Form | None:
        """What is kept of it; None where nothing is quantized, or was in a way that is kept."""
        method = method_of(self.own, self.device) if self.own else self.method
        if method is None:
            return None
        return Form(args=self.args, method=method, dtype=self.dtype, device=self.device)

    def can_be_kept(self) -> bool:
        """Tell whether ``form`` can hold all layers: where they were quantized already, their parts have to be seen."""
        form = self.form
        return form is not None and (self.own is None or can_hold(form.method, self._sources(), self.args))

    def nbytes(self) -> int:
        """Return what the parts take, as they are held."""
        if self.method:
            return quantized_bytes(self.args, self.dtype, self.method)
        return bytes_of(self._sources(), self.args, self.dtype, self.device)

    def parts(self) -> Iterator[tuple[str, Tensor | nn.Module]]:
        """Yield each tensor of the model by its name, and each quantized layer by its own; made as they are asked for.

        Raises:
            CheckpointError: anything about the files, before the first is yielded.
            OutOfMemoryError: the device has no room for the next.
        """
        packed = quantizable(self.args, self.method) if self.method else {}
        shapes = self.args.tensor_shapes()
        for name, source, content in stream(self._sources(), self.progress):
            layer = name.removesuffix(".weight")
            if source.quantized:
                yield layer, self._taken_over(source.quantized, shapes[name])
            elif self.method and layer in packed:
                yield layer, self.method.quantize(readable(source, content, self.dtype), self.device, self.dtype)
            else:
                yield name, filled(source, content, self.dtype, self.device)

    def _taken_over(self, layer: Quantized, shape: tuple[int, ...]) -> nn.Module:
        """Return a layer that is quantized already; its tensors may lie in several files."""
        parts = {key: stored_tensor(part, map_file(part.file)) for key, part in layer.parts.items()}
        return take_over(layer, parts, (shape[0], shape[1]), self.device, self.dtype)

    def _sources(self) -> dict[str, Source]:
        sources = match_tensors(read_tensors(self.files), self.args, self.files.config.parent)
        if self.args.tie_word_embeddings and LM_HEAD in sources:
            check_tied(sources[EMBEDDING], sources.pop(LM_HEAD))
        return sources


def _put(model: Mistral, name: str, part: Tensor | nn.Module) -> None:
    """Put a quantized layer, or a tensor, where the model has that name."""
    if isinstance(part, nn.Module):
        model.set_submodule(name, part)
        return
    module, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(module), leaf, nn.Parameter(part, requires_grad=False))


def check_tied(embedding: Source, head: Source) -> None:
    """Refuse a config that ties ``lm_head`` to the embedding where the files hold two different ones."""
    ours, theirs = (stored_tensor(source.tensor, map_file(source.tensor.file)) for source in (embedding, head))
    if ours.dtype != theirs.dtype or not torch.equal(ours.view(torch.uint8), theirs.view(torch.uint8)):
        message = f"{head.tensor.file} holds an lm_head that is not the embedding, but the config ties the two."
        raise CheckpointError(message, "Set tie_word_embeddings to false if the model was trained so.")
