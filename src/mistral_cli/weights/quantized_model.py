"""A quantized model in the cache: written as it is made, mapped ever after. Knows names and layouts; computes nothing.

What is written is what the layers compute with, byte for byte, and the tensors that stay as they are lie beside them:
a later load maps this one file and does not look at the checkpoint's weights. On the CPU nothing is copied: the model's
tensors are the file's pages, which the system reads on demand, shares between processes and takes back when it must.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from mistral_cli.weights.mapped_tensors import TYPES, map_file, stored_tensor
from mistral_cli.weights.quantize import quantizable
from mistral_cli.weights.quantized_cache import NotKeptError, QuantizedCache, model_name
from mistral_cli.weights.quantized_file import ALIGNMENT, identify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.weights.files import CheckpointFiles
    from mistral_cli.weights.methods import Method
    from mistral_cli.weights.quantized_file import Identity, Stored, Writer

Part = tuple[str, Tensor | nn.Module]
"""A tensor of the model under its name, or a quantized layer under its own."""

_BETWEEN = ":"
"""Stands between the name of a quantized layer and that of one of its tensors; no tensor of the model has it."""

_WORDS = {dtype: word for word, dtype in TYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a quantized model becomes in memory."""

    args: ModelArgs
    method: Method
    dtype: torch.dtype
    """Of what is not quantized."""
    device: torch.device


class Made(Protocol):
    """A model that is quantized part by part."""

    def parts(self) -> Iterator[Part]:
        """Yield the parts, each made as it is asked for."""
        ...

    def nbytes(self) -> int:
        """Return the bytes of all."""
        ...

    def can_be_kept(self) -> bool:
        """Tell whether all its quantized layers are of the form's method."""
        ...


def keep(cache: QuantizedCache, files: CheckpointFiles, form: Form, made: Made) -> Stored | None:
    """Return the copy of a quantized model, made and written if it is not there yet; None where none can be.

    Raises:
        NotKeptError: it is not there, and cannot be written.
        CheckpointError, OutOfMemoryError: as ``made`` does.
    """
    identity, model = _identity(files, form), model_name(files.config.parent)
    stored = _find(cache, model, identity, form)
    if stored is None and not made.can_be_kept():
        return None
    if stored is None:
        _write(cache, model, identity, form, made)
        stored = _find(cache, model, identity, form)
    if stored is None:
        raise NotKeptError(f"The quantized weights of {model} were removed from {cache.folder} again.", "Try it again.")
    return stored


def _identity(files: CheckpointFiles, form: Form) -> Identity:
    layout, dtype = form.method.layout + form.method.level(), str(form.dtype).removeprefix("torch.")
    return identify(files, scheme=form.method.scheme, layout=layout, device=form.device.type, dtype=dtype)


def _find(cache: QuantizedCache, model: str, identity: Identity, form: Form) -> Stored | None:
    """Return the copy if it is there and holds all that the model is made of."""
    stored = cache.find(model, identity)
    if stored is None:
        return None
    held = {name.split(_BETWEEN)[0] for name in stored.tensors}
    needed = form.args.tensor_shapes().keys()
    return stored if all(name in held or name.removesuffix(".weight") in held for name in needed) else None


def _write(cache: QuantizedCache, model: str, identity: Identity, form: Form, made: Made) -> None:
    """Make the model part by part and write each: memory holds one at a time, the rest is the file's.

    Raises:
        NotKeptError: there is no room, or the cache cannot be written to.
    """
    count = len(form.args.tensor_shapes())
    nbytes = made.nbytes() + 4 * ALIGNMENT * count
    with cache.writing(model, identity, tensors=count, nbytes=nbytes) as writer:
        for name, part in made.parts():
            if isinstance(part, Tensor):
                _add(writer, name, part)
            else:
                for key, tensor in form.method.tensors(part).items():
                    _add(writer, f"{name}{_BETWEEN}{key}", tensor)


def _add(writer: Writer, name: str, tensor: Tensor) -> None:
    content: memoryview = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    writer.add(name, _WORDS[tensor.dtype], tuple(tensor.shape), content)


def mapped(stored: Stored, form: Form) -> Iterator[Part]:
    """Yield the parts of a copy, their tensors views of the mapped file; on another device than the CPU, copies."""
    content = map_file(stored.path, large_pages=True)
    shapes = quantizable(form.args, form.method)
    layers: dict[str, dict[str, Tensor]] = {}
    for name, info in stored.tensors.items():
        tensor = stored_tensor(info, content).to(form.device)
        layer, is_quantized, key = name.partition(_BETWEEN)
        if is_quantized:
            layers.setdefault(layer, {})[key] = tensor
        else:
            yield name, tensor
    for layer, tensors in layers.items():
        yield layer, form.method.restore(tensors, shapes[layer], form.dtype)
