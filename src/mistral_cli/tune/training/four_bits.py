"""A base in bitsandbytes' 4 bits, made by our own kernel while its files are read. Holds no model.

bitsandbytes itself takes twenty times as long on a CPU; the codes are the same, bit for bit. Nothing but the result is
in memory.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from mistral_cli.tune.training.own_format import read_sources
from mistral_cli.weights.architecture import foreign_architecture
from mistral_cli.weights.bitsandbytes_form import QuantizedForm
from mistral_cli.weights.config import read_args
from mistral_cli.weights.files import find_files
from mistral_cli.weights.formats import LM_HEAD
from mistral_cli.weights.mapped_tensors import filled, readable, stream

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

_CPU = torch.device("cpu")


def is_ours(folder: Path) -> bool:
    """Tell whether the model in ``folder`` is one whose tensors we know; experts have no form in 4 bits."""
    config = find_files(folder).config
    return foreign_architecture(config) is None and not read_args(config).moe


def quantized_state(folder: Path, dtype: torch.dtype) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return a model's tensors as bitsandbytes saves them, and what its config says of that; the head stays as it is.

    Raises:
        CheckpointError: anything about the files.
    """
    files = find_files(folder)
    args = read_args(files.config)
    sources = read_sources(files, args)
    form, state = QuantizedForm(args=args, scheme="nf4", dtype=dtype), dict[str, "Tensor"]()
    for name, source, content in stream(sources, None):
        is_packed = form.packs(name) and name != LM_HEAD
        read = readable if is_packed else partial(filled, device=_CPU)
        weight = read(source, content, dtype)
        state |= form.tensors(name, weight) if is_packed else {name: weight}
    said = dict(form.config(files.config)["quantization_config"])
    return state, said | {"llm_int8_skip_modules": sorted({*form.kept, LM_HEAD.removesuffix(".weight")})}
