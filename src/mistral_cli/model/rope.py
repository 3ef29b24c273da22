"""Rotary position embedding: turns pairs of numbers by an angle that grows with the position. Keeps only its tables.

Su et al., "RoFormer" (arXiv:2104.09864), section 3.4, in Hugging Face's order: number ``i`` is paired with ``i + D/2``.
"""

from __future__ import annotations

import torch
from torch import Tensor

_FIRST_ROWS = 1024


class RotaryTable:
    """Cosines and sines for every position so far asked for; made on first use, on the device that asks.

    No module and no buffer: a model that is built on ``meta`` and filled later must not inherit empty tables.

    Args:
        head_dim: D, even.
        theta: the base of the geometric row of wavelengths.
    """

    def __init__(self, head_dim: int, theta: float) -> None:
        self._head_dim = head_dim
        self._theta = theta
        self._rows = 0
        self._cos = self._sin = torch.empty(0)

    def between(self, start: int, end: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return cosines and sines of positions ``start`` to ``end - 1``, each (T, D) in float32."""
        self._extend(end, device)
        return self._cos[start:end], self._sin[start:end]

    def at(self, positions: Tensor, end: int) -> tuple[Tensor, Tensor]:
        """Return cosines and sines of ``positions`` (B, T), all below ``end``; each (B, 1, T, D) in float32."""
        self._extend(end, positions.device)
        return self._cos[positions].unsqueeze(1), self._sin[positions].unsqueeze(1)

    def _extend(self, end: int, device: torch.device) -> None:
        if end > self._rows or device != self._cos.device:
            self._rows = max(end, 2 * self._rows if end > self._rows else self._rows, _FIRST_ROWS)
            # a plain tensor, even under inference_mode: training may use the same tables later
            with torch.inference_mode(mode=False), torch.no_grad():
                cos, sin = _tables(self._rows, self._head_dim, self._theta)
                self._cos, self._sin = cos.to(device), sin.to(device)


def _tables(rows: int, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (rows, D), the sines of the first half negated.

    In float32 on the CPU whatever the model's dtype: this is what transformers does (``MistralRotaryEmbedding``), and
    the tables must not depend on the device.
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device="cpu") / head_dim
    positions = torch.arange(rows, dtype=torch.float32, device="cpu")
    angles = positions[:, None] * (1.0 / theta**exponents)  # (rows, D/2)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn queries or keys (B, H, T, D) to their positions, in float32 or better; the dtype stays.

    Args:
        states: what is turned.
        cos: (T, D) or (B, 1, T, D).
        sin: as ``cos``, with the minus sign of the first half in it, so that swapping the halves is all that is left.
    """
    precise = states.to(torch.promote_types(states.dtype, torch.float32))
    swapped = precise.roll(states.shape[-1] // 2, -1)
    return torch.addcmul(precise * cos, swapped, sin.to(precise.dtype)).to(states.dtype)
