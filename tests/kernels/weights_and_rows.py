"""Weights and rows for the tests of the products."""

from __future__ import annotations

import torch
from torch import Tensor

from mistral_cli.kernels import library

VARIANTS = library.load().variants
SHAPES = [(16, 64), (48, 128), (200, 192), (7, 320), (1000, 1024), (130, 4096)]
"""(outputs, inputs), some of the outputs no multiple of 16, all inputs multiples of 64."""


def weight(outputs: int, inputs: int, dtype: torch.dtype = torch.bfloat16, seed: int = 0) -> Tensor:
    """Return normal weights of a trained layer's size."""
    return (torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(seed)) * 0.02).to(dtype)


def rows(count: int, inputs: int, dtype: torch.dtype = torch.float32, seed: int = 1) -> Tensor:
    """Return activations whose groups differ in size by orders of magnitude."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, inputs, generator=generator)
    sizes = torch.randn(count, inputs // 64, generator=generator).mul(2).exp().repeat_interleave(64, 1)
    return (x * sizes).to(dtype)
