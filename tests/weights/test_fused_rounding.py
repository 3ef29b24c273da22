"""Where a fused model differs from the model itself: where an activation was rounded the other way, and only there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from fused_pairs import SHAPES, TOKENS, error, exact
from torch import Tensor

from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.kernels.schemes import FINE, GROUP

if TYPE_CHECKING:
    from mistral_cli.model.transformer import Mistral


def codes(x: Tensor) -> Tensor:
    """Return what fine products make of their rows, step for step in float32 (``csrc/rounding.h``)."""
    groups = x.unflatten(-1, (-1, GROUP))
    scales = torch.tensor(float(FINE)) / groups.abs().amax(-1, keepdim=True)  # 4095 / x would be 4095 * (1 / x)
    return (groups * scales).round().flatten(-2)


def traced(model: Mistral) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the logits, and the codes of the rows that each packed layer read."""
    read: dict[str, Tensor] = {}
    packed = {name: module for name, module in model.named_modules() if isinstance(module, PackedLinear)}
    for name, module in packed.items():
        module.register_forward_pre_hook(lambda _, rows, name=name: read.__setitem__(name, codes(rows[0])))
    return model(TOKENS)[0], read


@pytest.mark.parametrize("shape", ["plain", "windowed", "tied"])
@torch.inference_mode()
def test_up_to_the_first_activation_rounded_the_other_way_the_two_are_alike(shape: str) -> None:
    (wanted, theirs), (got, ours) = map(traced, exact(SHAPES[shape]))
    assert ours.keys() == theirs.keys()
    differences = {name: (ours[name] - theirs[name]).abs().squeeze(0).amax(-1) for name in theirs}  # (T,)
    first_layer = next(one for one in differences.values() if one.any())
    assert first_layer.max() == 1  # a number between two codes, no wrong one
    first = int(torch.stack([*differences.values()]).amax(0).nonzero()[0])  # later tokens read its keys and values
    assert first > 3
    assert error(got[:, :first], wanted[:, :first]) < 2e-6
    assert 2e-6 < error(got[:, first:], wanted[:, first:]) < 1e-3
