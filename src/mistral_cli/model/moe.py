"""Sparse mixture of experts: a router picks, for each token, the few feed-forward blocks that compute it.

Jiang et al., "Mixtral of Experts" (arXiv:2401.04088), section 2.1. Knows nothing of sequences: tokens are rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mistral_cli.model.layers import gate, project

if TYPE_CHECKING:
    from mistral_cli.model.layers import Gate, Project


class Expert(nn.Module):
    """A SwiGLU block under the names that Mixtral's files have: w1 the gate, w3 the linear branch, w2 back."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.project: Project = project
        self.gate: Gate = gate
        self.w1 = nn.Linear(dim, hidden_dim, bias=False)
        self.w2 = nn.Linear(hidden_dim, dim, bias=False)
        self.w3 = nn.Linear(dim, hidden_dim, bias=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Map ``rows`` (N, dim) to the same shape."""
        return self.project(self.gate(*self.project(rows, self.w1, self.w3)), self.w2)[0]


class SparseMoe(nn.Module):
    """A router and its experts; each token costs ``per_token`` of them."""

    def __init__(self, dim: int, hidden_dim: int, *, num_experts: int, per_token: int) -> None:
        super().__init__()
        self.per_token = per_token
        self.project: Project = project
        self.gate = nn.Linear(dim, num_experts, bias=False)
        self.experts = nn.ModuleList(Expert(dim, hidden_dim) for _ in range(num_experts))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map ``hidden`` (B, T, dim) to the same shape."""
        rows = hidden.flatten(0, 1)  # (N, dim)
        shares, chosen = route(self.project(rows, self.gate)[0], self.per_token)  # (N, k) both
        out = torch.zeros_like(rows)
        for index in torch.unique(chosen).tolist():
            row, rank = torch.where(chosen == index)
            share = shares[row, rank, None]
            out.index_add_(0, row, (self.experts[index](rows[row]) * share).to(out.dtype))
        return out.view_as(hidden)


def route(scores: Tensor, per_token: int) -> tuple[Tensor, Tensor]:
    """Return the shares (N, k) in float32 of the likeliest experts, and which they are, from ``scores`` (N, experts).

    The softmax over the chosen, reached as transformers reaches it (``MixtralTopKRouter``): over all in float32, then
    divided by the sum of the chosen. The same number but for the last bit, which float64 parity sees.
    """
    likely, chosen = scores.to(torch.float32).softmax(-1).topk(per_token, -1)
    return likely / likely.sum(-1, keepdim=True), chosen
