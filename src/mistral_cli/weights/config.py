"""A checkpoint's config becomes ``ModelArgs``. Reads one small file; knows no weights and no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.errors import CheckpointError
from mistral_cli.weights.config_fields import ConfigFields
from mistral_cli.weights.config_huggingface import huggingface_args
from mistral_cli.weights.config_mistral import mistral_args
from mistral_cli.weights.files import find_config

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs

_OWN_KEYS = {"dim", "n_layers", "n_heads"}
"""Any of these, and the config is spelt in Mistral's own way."""


def read_args(path: Path) -> ModelArgs:
    """Return the shape of the model at ``path``: a folder, or its ``config.json`` or ``params.json`` itself.

    Where a folder has both files, the one of the weights that would be loaded counts. What kind of config it is shows
    in its keys, not in its name. No default of another program is relied on: what a config does not say is refused
    unless it can mean one thing only.

    Raises:
        ModelNotFoundError: nothing at ``path``.
        CheckpointError: no config; not JSON; a key missing or absurd; two that contradict each other; or a model that
            is not ours to compute: another architecture, activation or rotary embedding, biases, a quantization.
    """
    fields = ConfigFields.read(find_config(path))
    read = mistral_args if fields.values.keys() & _OWN_KEYS else huggingface_args
    try:
        return read(fields)
    except CheckpointError as error:
        if str(fields.path) in error.message:
            raise
        raise CheckpointError(f"{fields.path}: {error.message}", error.hint) from error
