"""The speed of reading memory is a plausible one."""

from __future__ import annotations

import torch

from mistral_cli.measure.bandwidth import read_bandwidth


def test_memory_is_read_at_a_speed_that_memory_has() -> None:
    figure = read_bandwidth(torch.device("cpu"), nbytes=2**26, rounds=3)
    assert len(figure.values) == 3
    assert 1e8 < figure.median < 1e13
