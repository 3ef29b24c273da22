"""``mistral show`` on a model that transformers computes: what is known without its code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from command_line import mistral
from safetensors.torch import load_file

from foreign_checkpoint import edit_json, write_foreign
from mistral_cli.ui.columns import labelled

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_foreign(tmp_path_factory.mktemp("qwen"), "qwen3")


def test_another_architecture_is_shown_with_who_computes_it(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    code, out, err = mistral(capfd, "show", str(folder))
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (code, err) == (0, "")
    assert rows["architecture"] == "Qwen3ForCausalLM, which transformers computes (--backend hf)"
    assert (rows["layers"], rows["vocabulary"], rows["context"]) == ("3", "260", "512 tokens")
    assert rows["tokenizer"].startswith("template (")


def test_its_parameters_are_the_numbers_in_its_files(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    shown = json.loads(mistral(capfd, "show", str(folder), "--json").out)
    weights = load_file(folder / "model.safetensors")
    assert shown["parameters"] == sum(weight.numel() for weight in weights.values())
    assert (shown["backend"], shown["dtype"]) == ("hf", "float32")


def test_its_tree_is_that_of_its_files(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    out = mistral(capfd, "show", str(folder), "--tree").out
    assert "0 … 2 (3 alike)" in out
    assert "q_proj" in out


def test_a_config_alone_says_what_it_can(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model_type": "llama", "n_layer": 2, "text_config": {"vocab_size": 7}}))
    code, out, _ = mistral(capfd, "show", str(config))
    assert code == 0
    assert "parameters" not in out
    for line in ("architecture  llama,", "layers        2", "vocabulary    7", "context       not stated"):
        assert line in out


def test_packed_weights_are_not_counted_as_parameters(
    capfd: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "config.json"
    copy.write_text((folder / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    edit_json(copy, quantization_config={"quant_method": "gptq"})
    out = mistral(capfd, "show", str(tmp_path)).out
    assert "quantized by gptq" in out
    assert "parameters" not in out


def test_a_line_wider_than_the_terminal_goes_on_under_its_text() -> None:
    rows = [("path", "a b"), ("architecture", "LlamaForCausalLM, which transformers computes")]
    assert list(labelled(rows, 40)) == [
        "path          a b",
        "architecture  LlamaForCausalLM, which",
        "              transformers computes",
    ]
    assert list(labelled(rows, None))[1].endswith("which transformers computes")
