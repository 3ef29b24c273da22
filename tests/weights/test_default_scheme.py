"""What is quantized where nobody asked: large models that are not quantized yet, and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from written_checkpoints import huggingface_config, mistral_config, write_json

from mistral_cli.model.args import ModelArgs
from mistral_cli.weights.default_scheme import default_scheme

if TYPE_CHECKING:
    from pathlib import Path

SEVEN = ModelArgs.mistral_7b_v03()
SMALL = replace(SEVEN, n_layers=12)
"""2.9 billion parameters."""


@pytest.mark.parametrize(("args", "expected"), [(SEVEN, "nf4"), (SMALL, "none"), (ModelArgs.mixtral_8x7b(), "nf4")])
def test_it_depends_on_the_number_of_parameters(tmp_path: Path, args: ModelArgs, expected: str) -> None:
    assert default_scheme(args, write_json(tmp_path / "config.json", huggingface_config(args))) == expected
    assert default_scheme(args, write_json(tmp_path / "params.json", mistral_config(args))) == expected


def test_what_is_quantized_already_is_not_quantized_again(tmp_path: Path) -> None:
    config = {**huggingface_config(SEVEN), "quantization_config": {"quant_method": "bitsandbytes"}}
    assert default_scheme(SEVEN, write_json(tmp_path / "config.json", config)) == "none"
