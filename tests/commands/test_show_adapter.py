"""``mistral show`` of an adapter: what its config and its header say, and whether it fits."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from command_line import mistral

from lora_files import write_adapter
from mistral_cli.weights.config import read_args
from mistral_cli.weights.files import find_files
from tiny_models import write_tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.model.args import ModelArgs


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def args(tiny: Path) -> ModelArgs:
    return read_args(find_files(tiny).config)


def trained_on(folder: Path, base: str) -> Path:
    config = folder / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": base}))
    return folder


def test_an_adapter_is_told_with_its_base_rank_targets_and_size(capfd, args: ModelArgs, tmp_path: Path) -> None:
    folder = trained_on(write_adapter(tmp_path / "mine", args), "someone/base")
    code, out, err = mistral(capfd, "show", str(folder))
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    # rank 4: q 32 -> 32, v 32 -> 16, down 64 -> 32 in each of two layers
    numbers = 2 * 4 * ((32 + 32) + (32 + 16) + (64 + 32))
    assert (code, err) == (0, "")
    assert (rows["adapter"], rows["base"], rows["rank"]) == ("mine", "someone/base", "4")
    assert rows["parameters"] == f"{numbers:,}"
    assert rows["targets"] == "down_proj in 2 layers, q_proj in 2 layers, v_proj in 2 layers"
    assert rows["alpha"] == "16: updates are multiplied by 4"
    assert rows["fits"].startswith("not tried: its base is not on this disk")
    told = json.loads(mistral(capfd, "show", str(folder), "--json").out)
    assert (told["parameters"], told["bytes"], told["fits"]) == (numbers, 4 * numbers, None)


def test_its_own_base_and_any_other_model_are_tried(capfd, tiny: Path, args: ModelArgs, tmp_path: Path) -> None:
    folder = trained_on(write_adapter(tmp_path / "mine", args), str(tiny))
    other = write_adapter(tmp_path / "other", replace(args, hidden_dim=48))
    assert json.loads(mistral(capfd, "show", str(folder), "--json").out)["fits"] is True
    told = json.loads(mistral(capfd, "show", str(other), "--on", str(tiny), "--json").out)
    assert (told["model"], told["fits"]) == (str(tiny), False)
    assert "is for another model" in told["objection"]


def test_a_damaged_one_is_told_as_loading_would(capfd, args: ModelArgs, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "mine", args)
    (folder / "adapter_model.safetensors").write_bytes(b"garbage")
    assert mistral(capfd, "show", str(folder)).code == 4


def test_a_model_is_laid_on_no_model(capfd, tiny: Path) -> None:
    code, _, err = mistral(capfd, "show", str(tiny), "--on", "builtin")
    assert (code, "--on is for adapters" in err) == (2, True)


def test_an_adapter_has_no_tree(capfd, args: ModelArgs, tmp_path: Path) -> None:
    code, out, err = mistral(capfd, "show", str(write_adapter(tmp_path / "mine", args)), "--tree")
    assert (code, out, "--tree is for models" in err) == (2, "", True)


def test_torch_is_not_imported_for_an_adapter(tiny: Path, args: ModelArgs, tmp_path: Path) -> None:
    folder = trained_on(write_adapter(tmp_path / "mine", args), str(tiny))
    program = (
        "import sys; from functools import partial; from mistral_cli.cli import guarded, run; "
        f"code = guarded(partial(run, ['show', {str(folder)!r}])); "
        "loaded = {'torch', 'transformers', 'peft', 'huggingface_hub'} & set(sys.modules); "
        "sys.exit(f'{code} {loaded}' if code or loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
