"""A linear layer with low-rank updates beside it. Knows one layer; reads no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from mistral_cli.kernels.updates import Update

if TYPE_CHECKING:
    from mistral_cli.weights.adapters.pairs import LoraPair


class LoraLinear(nn.Module):
    """Stands where ``base`` stood, and adds what each adapter makes of the same input.

    ``base(x) + Σ strength · scaling · up(down(x))``: Hu et al. (arXiv:2106.09685), section 4.1, in PEFT's order of sums
    (``peft/tuners/lora/layer.py``, ``Linear.forward``). ``base`` stays the very module that it was.

    Args:
        base: any layer that maps (…, inputs) to (…, outputs).
    """

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base = base
        self.pairs: dict[str, LoraPair] = {}
        """Name of the adapter -> its two matrices."""
        self.strengths: dict[str, float] = {}
        """Name of the adapter -> what the user multiplies its scaling with."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, inputs) to (…, outputs)."""
        return self.added(self.base(x), x)

    def added(self, result: Tensor, x: Tensor) -> Tensor:
        """Return ``result``, what the base makes of ``x``, with the updates added, in its dtype."""
        for name, pair in self.pairs.items():
            factor = self.strengths[name] * pair.scaling
            update = functional.linear(functional.linear(x.to(pair.down.dtype), pair.down), pair.up)
            result = result + (update * factor).to(result.dtype)
        return result

    def updates(self) -> list[Update]:
        """Return what is added, in order, as the library takes it."""
        return [
            Update(down=pair.down, up=pair.up, factor=self.strengths[name] * pair.scaling)
            for name, pair in self.pairs.items()
        ]
