"""What this process would give back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mistral_cli.engine import reclaim
from mistral_cli.engine.reclaim import reclaimable

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CPU = torch.device("cpu")


def test_memory_of_its_own_counts_and_goes_when_it_is_freed() -> None:
    before = reclaimable(CPU)
    block = torch.ones(64 << 20, dtype=torch.uint8)
    assert reclaimable(CPU) - before > 60 << 20
    del block
    assert reclaimable(CPU) - before < 30 << 20


def test_where_the_system_does_not_tell_it_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reclaim, "STATUS", tmp_path / "nowhere")
    assert reclaimable(CPU) == 0
