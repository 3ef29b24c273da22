"""Checkpoints that are quantized already, as a whole: what they take in memory, and whether a copy of them is kept.

bitsandbytes' files hold codes in the order of the rows. What computes here reads another order, which a copy keeps as
it does that of a model that we quantize.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from mistral_cli.weights.bitsandbytes_checkpoint import is_usual, taken_bytes
from mistral_cli.weights.files import read_tensors
from mistral_cli.weights.formats import LM_HEAD, match_tensors
from mistral_cli.weights.methods import method_reasons

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.weights.files import CheckpointFiles
    from mistral_cli.weights.formats import Source
    from mistral_cli.weights.methods import Method


def held_bytes(files: CheckpointFiles, args: ModelArgs, dtype: torch.dtype, device: torch.device) -> int:
    """Return the bytes of all weights as they are held here: layers as they are quantized, all else in ``dtype``.

    Raises:
        CheckpointError: tensors that do not fit the config.
    """
    sources = match_tensors(read_tensors(files), args, files.config.parent)
    if args.tie_word_embeddings:
        sources.pop(LM_HEAD, None)
    return bytes_of(sources, args, dtype, device)


def bytes_of(sources: Mapping[str, Source], args: ModelArgs, dtype: torch.dtype, device: torch.device) -> int:
    """Do what ``held_bytes`` does for tensors that were found."""
    shapes, total = args.tensor_shapes(), 0
    for name, source in sources.items():
        shape = shapes[name]
        if source.quantized:
            total += taken_bytes(source.quantized, (shape[0], shape[1]), device)
        else:
            total += math.prod(shape) * dtype.itemsize
    return total


def method_of(scheme: str, device: torch.device) -> Method | None:
    """Return by which method such layers are kept for a CPU; elsewhere nothing is reordered, and nothing kept."""
    usable = [method for method, reason in method_reasons(scheme, device) if reason is None]
    if device.type != "cpu" or not usable:
        return None
    return replace(usable[0], layout=f"{usable[0].layout}-taken-over")


def can_hold(method: Method, sources: Mapping[str, Source], args: ModelArgs) -> bool:
    """Tell whether every quantized layer becomes one of this method, so that a copy can hold the model."""
    shapes = args.tensor_shapes()
    layers = ((shapes[name], source.quantized) for name, source in sources.items() if source.quantized)
    return all(is_usual(layer) and method.supports(shape[0], shape[1]) for shape, layer in layers)
