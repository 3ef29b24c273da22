"""Configs with one thing changed: read, or refused with a message that the tests look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from written_checkpoints import DENSE, SPARSE, huggingface_config, mistral_config, write_json

from mistral_cli.errors import CheckpointError
from mistral_cli.weights.config import read_args

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs

HF, HF_SPARSE, OWN = huggingface_config(DENSE), huggingface_config(SPARSE), mistral_config(DENSE)


def read(tmp_path: Path, config: dict[str, object], name: str = "config.json", **changes: object) -> ModelArgs:
    """Read ``config`` with ``changes``; a change to ``...`` leaves the key out."""
    kept = {key: value for key, value in {**config, **changes}.items() if value is not ...}
    write_json(tmp_path / name, kept)
    return read_args(tmp_path)


def refusal(tmp_path: Path, config: dict[str, object], name: str = "config.json", **changes: object) -> str:
    """Return the message with which such a config is refused; it names the file."""
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path, config, name, **changes)
    assert str(tmp_path / name) in caught.value.message
    assert caught.value.hint
    return caught.value.message
