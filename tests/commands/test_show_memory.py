"""What ``mistral show`` tells of memory: of each form that a model may have, or of the one that it has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from command_line import mistral
from published_configs import PUBLISHED, SMALL_CONFIG, write_config

from mistral_cli.commands.show_facts import kv_cache_bytes, memory_needed
from mistral_cli.commands.sizes import size
from mistral_cli.model.args import ModelArgs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("scheme", ["nf4", "int8"])
@pytest.mark.parametrize(
    "args",
    [
        ModelArgs.mistral_7b_v03(),
        ModelArgs.mixtral_8x7b(),
        ModelArgs(dim=256, n_layers=1, head_dim=64, hidden_dim=1000, n_heads=4, n_kv_heads=2, vocab_size=100),
        ModelArgs(dim=128, n_layers=1, head_dim=8, hidden_dim=72, n_heads=4, n_kv_heads=1, tie_word_embeddings=True),
    ],
    ids=["7B", "experts", "odd sizes", "tied"],
)
def test_what_is_shown_is_what_a_quantized_model_takes(args: ModelArgs, scheme: str) -> None:
    import torch

    from mistral_cli.weights.methods import choose_method
    from mistral_cli.weights.quantize import quantized_bytes

    method = choose_method(scheme, torch.device("cpu"))
    assert memory_needed(args)[scheme] == quantized_bytes(args, torch.bfloat16, method)


def test_a_7b_takes_4_gb_in_nf4() -> None:
    assert memory_needed(ModelArgs.mistral_7b_v03())["nf4"] == 3_938_624_388


def test_a_small_model_is_not_quantized_unless_asked(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = str(write_config(tmp_path / "model", SMALL_CONFIG) / "config.json")
    said = "quantization  none unless asked for: --quantize nf4, int8 or int4\n"
    assert said in mistral(capfd, "show", config).out
    assert json.loads(mistral(capfd, "show", config, "--json").out)["quantization"] == "none"


def test_files_that_are_quantized_already_say_so(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    section = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(SMALL_CONFIG | {"quantization_config": section}))
    said = mistral(capfd, "show", str(path)).out
    assert "quantization  nf4: these files are quantized already, and are loaded as they are\n" in said
    assert "--quantize" not in said
    assert "embedding, norms, head stay in 16 bits\n" in said
    found = json.loads(mistral(capfd, "show", str(path), "--json").out)
    assert found["quantization"] == "nf4"
    assert list(found["memory"]) == ["nf4"]


@pytest.mark.parametrize("scheme", ["nf4", "int8"])
def test_quantized_files_take_what_their_model_takes(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, scheme: str
) -> None:
    import torch

    from mistral_cli.weights.config import read_args
    from mistral_cli.weights.files import find_files
    from mistral_cli.weights.taken_over import held_bytes

    folder = tmp_path / "small"
    assert mistral(capfd, "quantize", "builtin", "--to", scheme, "-o", str(folder), "-q").code == 0
    files = find_files(folder)
    held = held_bytes(files, read_args(files.config), torch.bfloat16, torch.device("cpu"))
    assert json.loads(mistral(capfd, "show", str(folder), "--json").out)["memory"] == {scheme: held}


def test_a_large_model_is_quantized_unless_told_otherwise(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(PUBLISHED["Mistral-7B-v0.3"][0]))
    assert (
        "quantization  nf4 unless told otherwise (3.94 GB): --quantize none, int8 or int4\n"
        in mistral(capfd, "show", str(path)).out
    )
    found = json.loads(mistral(capfd, "show", str(path), "--json").out)
    assert (found["quantization"], found["not_quantized"]) == ("nf4", ["embedding", "norms"])


def test_the_cache_of_a_layer_with_a_window_stops_growing_there() -> None:
    half = ModelArgs(n_layers=2, sliding_window=(None, 100))
    per_layer = half.kv_bytes_per_token(2) // 2
    assert kv_cache_bytes(half, 50) == 100 * per_layer
    assert kv_cache_bytes(half, 1000) == 1100 * per_layer


def test_sizes_are_written_with_the_unit_that_fits() -> None:
    assert [size(n) for n in (0, 999, 1500, 2_340_000, 14_496_047_104)] == [
        *("0 B", "999 B", "1.50 kB", "2.34 MB", "14.50 GB")
    ]
