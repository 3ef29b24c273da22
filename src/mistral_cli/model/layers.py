"""The parts of a layer that see one token at a time: RMSNorm and the SwiGLU feed-forward block.

What they compute with are functions held by the modules, ``compute``, ``project`` and ``gate``: another way to compute
the same may be set in their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    Normalize = Callable[[Tensor, Tensor, float], Tensor]
    Project = Callable[..., tuple[Tensor, ...]]
    """As ``project``: a tensor and the modules that read it."""
    Gate = Callable[[Tensor, Tensor], Tensor]


class RMSNorm(nn.Module):
    """Divide by the root mean square, then scale. Zhang and Sennrich (arXiv:1910.07467)."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps
        self.compute: Normalize = normalize

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalize ``hidden`` (…, dim)."""
        return self.compute(hidden, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows of it."""
        return f"{self.weight.shape[0]}, eps={self.eps}"


def normalize(hidden: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Divide ``hidden`` (…, dim) by its root mean square, and scale; the dtype stays.

    In float32 whatever the dtype, as Mistral's own code and transformers compute it (also for a float64 model, or
    logits would not be theirs).
    """
    precise = hidden.to(torch.float32)
    scale = torch.rsqrt(precise.square().mean(-1, keepdim=True) + eps)
    return weight * (precise * scale).to(hidden.dtype)


class FeedForward(nn.Module):
    """SwiGLU: a gate, a linear branch, their product, and back to ``dim``. Shazeer (arXiv:2002.05202)."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.project: Project = project
        self.gate: Gate = gate
        self.gate_proj = nn.Linear(dim, hidden_dim, bias=False)
        self.up_proj = nn.Linear(dim, hidden_dim, bias=False)
        self.down_proj = nn.Linear(hidden_dim, dim, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map ``hidden`` (B, T, dim) to the same shape."""
        gated = self.gate(*self.project(hidden, self.gate_proj, self.up_proj))
        return self.project(gated, self.down_proj)[0]


def project(hidden: Tensor, *layers: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    """Return what each of ``layers`` makes of ``hidden``."""
    return tuple(layer(hidden) for layer in layers)


def gate(gates: Tensor, branch: Tensor) -> Tensor:
    """Return ``silu(gates)`` times ``branch``."""
    return functional.silu(gates) * branch
