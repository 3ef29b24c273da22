"""A model of random weights that lives in memory alone, quantized where asked, for whoever has no checkpoint.

Of all layers of one shape the first is drawn and quantized and the others are copies of it, each in memory of its own:
a step reads as many bytes as it would of a real model, and a 7B is there in seconds. Knows no tokenizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mistral_cli.model.transformer import Mistral, draw
from mistral_cli.weights.allocate import allocate
from mistral_cli.weights.fuse import fuse
from mistral_cli.weights.quantize import quantizable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.weights.methods import Method


def random_in_memory(
    args: ModelArgs,
    *,
    dtype: torch.dtype,
    device: torch.device,
    method: Method | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Mistral:
    """Return a model of this shape, ready to compute.

    Args:
        args: the shape.
        dtype: of what is not quantized.
        device: where it goes.
        method: how linear layers are quantized; None: not at all.
        progress: called after each tensor with the number of those done and of all.

    Raises:
        OutOfMemoryError: there is no room for it.
    """
    model = Mistral(args, device="meta", dtype=dtype)
    packed = quantizable(args, method) if method else {}
    shapes, makers = args.tensor_shapes(), _Makers(dtype=dtype, device=device)
    for done, (name, shape) in enumerate(shapes.items(), 1):
        layer = name.removesuffix(".weight")
        if method is not None and layer in packed:
            model.set_submodule(layer, makers.layer(packed[layer], method))
        else:
            owner, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(owner), leaf, nn.Parameter(makers.weight(shape), requires_grad=False))
        progress(done, len(shapes))
    fuse(model.eval())
    return model


class _Makers:
    """Makes weights and layers: draws the first one of each shape, copies it for the others."""

    def __init__(self, *, dtype: torch.dtype, device: torch.device) -> None:
        self._dtype, self._device = dtype, device
        self._generator = torch.Generator().manual_seed(0)
        self._drawn: dict[tuple[int, ...], Tensor] = {}
        self._packed: dict[tuple[int, int], dict[str, Tensor]] = {}

    def weight(self, shape: tuple[int, ...]) -> Tensor:
        if shape not in self._drawn:
            self._drawn[shape] = self._draw(shape).to(self._device)
            return self._drawn[shape]
        return allocate(shape, self._dtype, self._device).copy_(self._drawn[shape])

    def layer(self, shape: tuple[int, int], method: Method) -> nn.Module:
        if shape not in self._packed:
            layer = method.quantize(self._draw(shape), self._device, self._dtype)
            self._packed[shape] = method.tensors(layer)
            return layer
        parts = {name: tensor.clone() for name, tensor in self._packed[shape].items()}
        return method.restore(parts, shape, self._dtype)

    def _draw(self, shape: tuple[int, ...]) -> Tensor:
        weight = allocate(shape, self._dtype, torch.device("cpu"))
        draw(weight, self._generator)
        return weight
