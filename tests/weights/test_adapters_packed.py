"""Adapters on layers of packed weights: added to what our kernel gives, row by row, and gone without a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from fused_pairs import PLAIN, TOKENS, error, exact, pair

from lora_files import write_adapter
from mistral_cli.weights.adapters.attached import Adapters

if TYPE_CHECKING:
    from pathlib import Path


@torch.inference_mode()
def test_on_packed_layers_it_adds_what_it_adds_to_the_model_itself(tmp_path: Path) -> None:
    model, fused = exact()
    folder, bare = write_adapter(tmp_path / "adapter", PLAIN), fused(TOKENS)[0]
    for one in (model, fused):
        Adapters(one).load(folder)
    assert error(fused(TOKENS)[0], model(TOKENS)[0]) < 1e-3
    assert error(fused(TOKENS)[0], bare) > 1e-2


@torch.inference_mode()
def test_off_a_packed_model_is_bit_for_bit_what_it_was(tmp_path: Path) -> None:
    _, fused = pair()
    bare, adapters = fused(TOKENS)[0], Adapters(fused)
    adapters.load(write_adapter(tmp_path / "adapter", PLAIN))
    assert not torch.equal(fused(TOKENS)[0], bare)
    adapters.off()
    assert torch.equal(fused(TOKENS)[0], bare)


@torch.inference_mode()
def test_rows_do_not_depend_on_their_neighbours_with_an_adapter(tmp_path: Path) -> None:
    _, fused = pair()
    Adapters(fused).load(write_adapter(tmp_path / "adapter", PLAIN))
    rows = TOKENS.view(8, 5)
    together = fused.forward_rows(rows[:, :1], [fused.new_cache(capacity=8) for _ in rows])
    alone = [fused.forward_rows(row[None, :1], [fused.new_cache(capacity=8)]) for row in rows]
    assert torch.equal(together, torch.cat(alone))
