"""Which quantization a model gets where nobody asked for one. Knows no torch and no device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.weights.json_file import read_object

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs

DEFAULT = "nf4"
"""What large models get: its loss was measured to be small, and it is what fits on the machines that people have."""

SMALL = 3_000_000_000
"""Parameters below which memory and speed are no reason to lose anything."""


def default_scheme(args: ModelArgs, config: Path) -> str:
    """Return ``nf4`` for a model of 3 billion parameters or more, ``none`` for a smaller or a quantized one.

    Args:
        args: the model's shape.
        config: its ``config.json`` or ``params.json``.

    Raises:
        CheckpointError: the config is no JSON object.
    """
    is_quantized = read_object(config).get("quantization_config") is not None
    return "none" if is_quantized or args.parameters < SMALL else DEFAULT
