"""An adapter's matrices, read. Knows files and tensors, not modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mistral_cli.errors import CheckpointError
from mistral_cli.weights.adapters.lora_config import WEIGHTS
from mistral_cli.weights.mapped_tensors import map_file, stored_tensor

if TYPE_CHECKING:
    from torch import Tensor

    from mistral_cli.weights.adapters.files import AdapterFiles


def adapter_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """Return the type of adapters on a model of ``dtype``: on a CPU float32 at least.

    There products of a narrow matrix with a few rows take many times longer in 16 bits (``tools/time_adapters.py``);
    the update is rounded to the model's type once, as it is added.
    """
    return torch.promote_types(dtype, torch.float32) if device.type == "cpu" else dtype


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoraPair:
    """What one linear layer's output gets added: ``scaling * up(down(x))``."""

    down: Tensor
    """(rank, inputs), PEFT's ``lora_A``."""
    up: Tensor
    """(outputs, rank), PEFT's ``lora_B``; numbers of one rank side by side, as ``kernels.updates`` reads them."""
    scaling: float


def read_pairs(files: AdapterFiles, dtype: torch.dtype, device: torch.device) -> dict[str, LoraPair]:
    """Return the matrices of each layer, in memory of their own.

    Raises:
        CheckpointError: a type that weights cannot have, NaN or infinity in one.
    """
    content = map_file(files.folder / WEIGHTS)
    pairs: dict[str, LoraPair] = {}
    for module, infos in files.layers.items():
        down, up = (stored_tensor(info, content) for info in infos)
        if not (down.isfinite().all() and up.isfinite().all()):
            raise CheckpointError(f"{files.folder / WEIGHTS} holds NaN or infinity in {module}.", "Train it again.")
        down, up = _copied(down, dtype, device), _copied(up.T, dtype, device).T
        if not (down.isfinite().all() and up.isfinite().all()):
            message = f"{files.folder / WEIGHTS} holds a number in {module} that is too large for {dtype}."
            raise CheckpointError(message, "Take --dtype bfloat16.")
        pairs[module] = LoraPair(down=down, up=up, scaling=files.config.scaling(module))
    return pairs


def _copied(matrix: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    return matrix.to(device, dtype, copy=True, memory_format=torch.contiguous_format)
