"""Samples become the tensors of one pass: ids, where each sample begins, and what is to be learnt. Knows no model.

Several samples may share a row. Each counts its positions from 0, which is how transformers sees that it is to attend
to itself alone (``find_packed_sequence_indices``); no attention mask is given, as that would turn this off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mistral_cli.tune.samples import Sample

IGNORED = -100
"""What stands in the place of an id that is not learnt; cross entropy leaves it out."""


def collate(rows: Sequence[Sequence[Sample]]) -> dict[str, Tensor]:
    """Return a batch of B rows, the longest of T ids; K of the T positions have something to learn in some row.

    Returns:
        ``input_ids``, ``position_ids``, ``labels`` (B, T); ``logits_to_keep`` (K,): the positions whose next id is
        learnt, as a head of 32,768 outputs costs more than all of a small model; ``shift_labels`` (B, K): those next
        ids; ``tokens`` (): how many ids there are, padding left out.
    """
    longest = max(sum(len(sample.ids) for sample in row) for row in rows)
    laid = [_lay(row, longest) for row in rows]
    ids, positions, labels = (torch.tensor(column) for column in zip(*laid, strict=True))
    following = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    kept = (following != IGNORED).any(0).nonzero().squeeze(-1)
    return {
        "input_ids": ids,
        "position_ids": positions,
        "labels": labels,
        "shift_labels": following[:, kept],
        "logits_to_keep": kept,
        "tokens": torch.tensor(sum(len(sample.ids) for row in rows for sample in row)),
    }


def _lay(row: Sequence[Sample], longest: int) -> tuple[list[int], list[int], list[int]]:
    """Return a row's ids, positions and labels. What fills it up goes on after the last sample, which never looks."""
    ids: list[int] = []
    positions: list[int] = []
    labels: list[int] = []
    for sample in row:
        ids += sample.ids
        positions += range(len(sample.ids))
        # a sample's first id follows nothing of its own
        labels += [IGNORED, *(i if t else IGNORED for i, t in zip(sample.ids[1:], sample.trained[1:], strict=True))]
    missing = longest - len(ids)
    last = positions[-1] + 1
    return ids + [0] * missing, positions + list(range(last, last + missing)), labels + [IGNORED] * missing
