"""The parts of a layer that see one token at a time: RMSNorm and the SwiGLU feed-forward block."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class RMSNorm(nn.Module):
    """Divide by the root mean square, then scale. Zhang and Sennrich (arXiv:1910.07467).

    In float32 whatever the dtype, as Mistral's own code and transformers compute it (also for a float64 model, or
    logits would not be theirs).
    """

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalize ``hidden`` (…, dim); the dtype stays."""
        precise = hidden.to(torch.float32)
        scale = torch.rsqrt(precise.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * (precise * scale).to(hidden.dtype)

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows of it."""
        return f"{self.weight.shape[0]}, eps={self.eps}"


class FeedForward(nn.Module):
    """SwiGLU: a gate, a linear branch, their product, and back to ``dim``. Shazeer (arXiv:2002.05202)."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(dim, hidden_dim, bias=False)
        self.up_proj = nn.Linear(dim, hidden_dim, bias=False)
        self.down_proj = nn.Linear(hidden_dim, dim, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map ``hidden`` (B, T, dim) to the same shape."""
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden))
        return out
