"""``mistral merge``: the new folder answers as the model did with its adapter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from command_line import mistral

from lora_files import write_adapter
from mistral_cli.weights.config import read_args
from mistral_cli.weights.files import find_files
from tiny_models import write_tiny_model

if TYPE_CHECKING:
    from pathlib import Path


def test_a_merged_model_answers_as_the_model_with_its_adapter(capfd, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    model = write_tiny_model(tmp_path / "model")
    adapter = write_adapter(tmp_path / "mine", read_args(find_files(model).config))
    merged = tmp_path / "merged"
    code, out, err = mistral(capfd, "merge", str(model), f"{adapter}:30", "-o", str(merged))
    assert (code, out) == (0, f"{merged}\n")
    assert err.startswith("6 layers of ")
    asked = ("--no-stdin", "--temperature", "0", "-n", "6", "--dtype", "float32", "--device", "cpu", "--json", "hello")
    with_it = json.loads(mistral(capfd, "gen", "-m", str(model), "--adapter", f"{adapter}:30", *asked).out)
    alone = json.loads(mistral(capfd, "gen", "-m", str(merged), *asked).out)
    assert alone["ids"] == with_it["ids"]
    assert mistral(capfd, "merge", str(model), f"{adapter}", "-o", str(merged)).code == 2
