"""A model in bitsandbytes' own format: which layers, as which tensors, with which config. Reads and writes no file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from mistral_cli.errors import UsageError
from mistral_cli.weights import bitsandbytes_4bit, bitsandbytes_8bit, bitsandbytes_library
from mistral_cli.weights.export_config import exported_config
from mistral_cli.weights.methods import METHODS
from mistral_cli.weights.quantize import quantizable, quantized_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.weights.methods import Method

SCHEMES = ("nf4", "int8")
"""What bitsandbytes has a format for."""

_CPU = torch.device("cpu")


def check_scheme(scheme: str) -> None:
    """Refuse, as a misuse, a scheme that bitsandbytes has no format for."""
    if scheme not in SCHEMES:
        reason = f"bitsandbytes has no format for {scheme}, so it cannot be written into a folder."
        raise UsageError(reason, f"Leave out -o to keep it in the cache, or take {' or '.join(SCHEMES)}.")


def check_form(args: ModelArgs, scheme: str) -> None:
    """Refuse, as a misuse, a scheme or a shape that the format does not have."""
    check_scheme(scheme)
    if args.moe:
        experts = "a layer's experts are one tensor there, which bitsandbytes does not quantize"
        reason = f"transformers has no quantized form of a mixture of experts: {experts}."
        raise UsageError(reason, "Leave it as it is: --quantize at its start keeps a quantized copy in the cache.")


@dataclass(frozen=True, kw_only=True)
class QuantizedForm:
    """What becomes of a model of this shape."""

    args: ModelArgs
    scheme: str
    dtype: torch.dtype
    """Of what is not quantized, and of what the quantized layers compute in."""

    @cached_property
    def _packed(self) -> dict[str, tuple[int, int]]:
        return quantizable(self.args, _row(self.scheme))

    @property
    def nbytes(self) -> int:
        """Bytes of all weights."""
        return quantized_bytes(self.args, self.dtype, _row(self.scheme))

    @property
    def kept(self) -> list[str]:
        """The linear layers that stay as they are, under transformers' names."""
        names = {name.removesuffix(".weight"): shape for name, shape in self.args.tensor_shapes().items()}
        kept = [name for name, shape in names.items() if len(shape) == 2 and name not in self._packed]
        return [name for name in kept if "embed" not in name] + ["lm_head"] * self.args.tie_word_embeddings

    def packs(self, name: str) -> bool:
        """Tell whether the tensor ``name`` is quantized."""
        return name.removesuffix(".weight") in self._packed

    def tensors(self, name: str, weight: Tensor) -> dict[str, Tensor]:
        """Return what is written for one tensor of the model, which is in ``dtype``."""
        return _TENSORS[self.scheme](name, weight) if self.packs(name) else {name: weight}

    def config(self, config: Path) -> dict[str, Any]:
        """Return the new folder's config; ``config`` is the model's own."""
        return exported_config(config, self.args, self.scheme, self.kept)


def _row(scheme: str) -> Method:
    return next(row for row in METHODS if row.scheme == scheme and row.by == "bitsandbytes" and "cuda" in row.devices)


def _four_bits(name: str, weight: Tensor) -> dict[str, Tensor]:
    """Return what ``Linear4bit`` of bitsandbytes saves."""
    layer, functions = bitsandbytes_4bit.quantize(weight, _CPU, weight.dtype), bitsandbytes_library.functional()
    nested = functions.QuantState(
        absmax=layer.nested_absmax, blocksize=bitsandbytes_4bit.NESTED, code=layer.nested_map, dtype=torch.float32
    )
    state = functions.QuantState(
        absmax=layer.absmax,
        shape=weight.shape,
        code=functions.get_4bit_type(layer.kind, device="cpu"),
        blocksize=layer.block,
        quant_type=layer.kind,
        dtype=weight.dtype,
        offset=layer.nested_offset,
        state2=nested,
    )
    return {name: layer.codes} | {f"{name}.{key}": part for key, part in state.as_dict(packed=True).items()}


def _eight_bits(name: str, weight: Tensor) -> dict[str, Tensor]:
    """Return what ``Linear8bitLt`` of bitsandbytes saves; format 0 is the order of the rows."""
    layer = bitsandbytes_8bit.quantize(weight, _CPU, weight.dtype)
    stem = name.removesuffix("weight")
    return {
        name: layer.codes,
        f"{stem}SCB": layer.absmax,
        f"{stem}weight_format": torch.zeros((), dtype=torch.uint8),
    }


_TENSORS = {"nf4": _four_bits, "int8": _eight_bits}
