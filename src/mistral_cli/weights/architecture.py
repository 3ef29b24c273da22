"""Which architecture a folder's config names, and whether it is ours to compute. Reads one small file; no torch.

Only what decides who computes is looked at: anything else that is wrong is for whoever reads the config in full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.weights.config_fields import ConfigFields
from mistral_cli.weights.config_huggingface import CLASSES
from mistral_cli.weights.files import find_config

if TYPE_CHECKING:
    from pathlib import Path


_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
"""What configs call the tokens that a model was made for."""


def foreign_architecture(path: Path) -> str | None:
    """Return the name of the architecture where it is not Mistral's or Mixtral's; None for ours and where none is said.

    Args:
        path: a folder, or its ``config.json`` or ``params.json``.

    Raises:
        ModelNotFoundError: nothing at ``path``.
        CheckpointError: no config, or one that is not JSON.
    """
    values = ConfigFields.read(find_config(path)).values
    architectures, kind = values.get("architectures"), values.get("model_type")
    named = architectures[0] if isinstance(architectures, list) and architectures else None
    if kind is not None and kind not in CLASSES:
        return str(named if named not in (None, *CLASSES.values()) else kind)[:60]
    if kind is None and isinstance(named, str) and named not in CLASSES.values():
        return named[:60]
    return None


def stated_positions(path: Path) -> int | None:
    """Return the tokens that the model at ``path`` was made for, of whatever architecture; None where it is not said.

    Raises:
        ModelNotFoundError, CheckpointError: as ``foreign_architecture`` does.
    """
    values = ConfigFields.read(find_config(path)).values
    text = values.get("text_config")
    for section in (values, text if isinstance(text, dict) else {}):
        for key in _POSITIONS:
            most = section.get(key)
            if isinstance(most, int) and most > 0:
                return most
    return None
