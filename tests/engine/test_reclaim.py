"""What this process would give back."""

from __future__ import annotations

import subprocess
import sys
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


HOLES = """
import torch
from pathlib import Path
from mistral_cli.engine.reclaim import _anonymous, STATUS, give_back_at_once
give_back_at_once()
torch.empty(24 << 20, dtype=torch.uint8).fill_(1)  # by itself, glibc keeps all smaller ones from now on
blocks = [torch.ones(8 << 20, dtype=torch.uint8) for _ in range(16)]
held = _anonymous(STATUS)
del blocks[::2]
print(held - _anonymous(STATUS))
"""


def test_freed_blocks_between_others_go_back_to_the_system() -> None:
    freed = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True).stdout
    assert int(freed) > 60 << 20
