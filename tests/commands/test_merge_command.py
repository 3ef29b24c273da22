"""``mistral merge``: the new folder answers as the model did with its adapter."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from command_line import mistral

from lora_files import write_adapter
from mistral_cli.weights.config import read_args
from mistral_cli.weights.files import find_files
from tiny_checkpoint import tiny_args, write_checkpoint
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


def test_one_that_is_quantized_as_it_is_merged_says_so_and_answers(capfd, tmp_path: Path) -> None:
    args = replace(tiny_args(), dim=64, head_dim=16, hidden_dim=128)
    model, adapter = write_checkpoint(tmp_path / "model", args=args), write_adapter(tmp_path / "mine", args)
    small = str(tmp_path / "small")
    code, out, _ = mistral(capfd, "merge", str(model), str(adapter), "-o", small, "--quantize", "nf4", "--json")
    assert (code, json.loads(out)["quantization"]) == (0, "nf4")
    asked = ("--no-stdin", "--temperature", "0", "-n", "6", "--device", "cpu", "--json", "hello")
    answer = json.loads(mistral(capfd, "gen", "-m", small, *asked).out)
    assert answer["model"]["quantization"] == "nf4"
    assert answer["ids"]
