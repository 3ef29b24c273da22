"""``mistral show`` tells from the files alone what a model is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import mistral_common
import numpy as np
import pytest
from command_line import mistral
from published_configs import PUBLISHED, SMALL, SMALL_CONFIG, write_config
from safetensors.numpy import save_file

from mistral_cli.commands.show_facts import find_license

if TYPE_CHECKING:
    Config = dict[str, object]

TOKENIZERS = Path(mistral_common.__file__).parent / "data"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with everything that a model has, in half precision."""
    folder = write_config(tmp_path / "model", SMALL_CONFIG)
    weights = {name: np.zeros(shape, dtype=np.float16) for name, shape in SMALL.tensor_shapes().items()}
    save_file(weights, folder / "model.safetensors")
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n")
    tokenizer = TOKENIZERS / "mistral_instruct_tokenizer_240323.model.v3"
    (folder / "tokenizer.model").write_bytes(tokenizer.read_bytes())
    return folder


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_counts_come_out_to_the_digit_from_a_config_alone(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    config, parameters = PUBLISHED[name]
    folder = write_config(tmp_path / "model", config)
    shown = json.loads(mistral(capfd, "show", str(folder / "config.json"), "--json").out)
    assert shown["parameters"] == parameters
    assert shown["memory"]["bfloat16"] == 2 * parameters
    in_words = mistral(capfd, "show", str(folder)).out
    assert f"{parameters:,}" in in_words


def test_mistral_s_own_config_counts_the_same(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    params = {
        "dim": 4096,
        "n_layers": 32,
        "head_dim": 128,
        "hidden_dim": 14336,
        "n_heads": 32,
        "n_kv_heads": 8,
        "norm_eps": 1e-05,
        "vocab_size": 32768,
        "rope_theta": 1000000.0,
    }
    (tmp_path / "params.json").write_text(json.dumps(params))
    shown = json.loads(mistral(capfd, "show", str(tmp_path / "params.json"), "--json").out)
    assert shown["parameters"] == 7_248_023_552


def test_everything_that_the_files_tell_is_in_the_object(capfd: pytest.CaptureFixture[str], model: Path) -> None:
    code, out, err = mistral(capfd, "show", str(model), "--json")
    shown = json.loads(out)
    assert (code, err) == (0, "")
    assert shown["architecture"] == "mistral"
    assert shown["parameters"] == SMALL.parameters
    assert shown["shape"]["n_kv_heads"] == 2
    assert shown["dtype"] == "float16"
    assert shown["bytes_on_disk"] == (model / "model.safetensors").stat().st_size
    assert shown["tokenizer"]["version"] == "v3"
    assert (shown["context"], shown["sliding_window"], shown["rope_theta"]) == (128, 16, 1e6)
    assert shown["kv_bytes_per_token"] == 2 * 3 * 2 * 8 * 2
    assert shown["kv_cache"] == {"tokens": 128, "bytes": 16 * shown["kv_bytes_per_token"]}
    assert shown["license"] == "apache-2.0"
    assert set(shown["memory"]) == {"float32", "bfloat16", "int8", "nf4"}


def test_the_report_is_words_for_a_person(capfd: pytest.CaptureFixture[str], model: Path) -> None:
    rows = dict(line.split("  ", 1) for line in mistral(capfd, "show", str(model)).out.splitlines() if line[0] != " ")
    shown = {label: text.strip() for label, text in rows.items()}
    assert shown["window"] == "16 tokens"
    assert shown["context"] == "128 tokens"
    assert shown["attention"] == "4 query heads of 8, 2 key-value heads"
    assert shown["rotary base"] == "1,000,000"
    assert shown["licence"] == "apache-2.0"
    assert shown["weights"].startswith("float16, ")
    assert shown["tokenizer"].startswith("v3 (")
    assert "192 bytes a token" in shown["KV cache"]


def test_a_mixture_of_experts_says_how_many_compute(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = write_config(tmp_path, PUBLISHED["Mixtral-8x7B"][0])
    assert "Mixtral, 2 of 8 experts a token" in mistral(capfd, "show", str(folder)).out


def test_windows_that_differ_from_layer_to_layer_are_counted(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    types = ["full_attention", "sliding_attention", "sliding_attention"]
    folder = write_config(tmp_path, SMALL_CONFIG | {"layer_types": types})
    assert "16 tokens in 2 of 3 layers" in mistral(capfd, "show", str(folder)).out


def test_the_tree_has_the_names_and_shapes_of_the_module_tree(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = write_config(tmp_path, PUBLISHED["Mistral-7B-v0.3"][0])
    lines = mistral(capfd, "show", str(folder), "--tree").out.splitlines()
    rows = {line.lstrip("│├└─ ").split("  ")[0]: line for line in lines}
    assert "1024 × 4096" in rows["k_proj"]
    assert "58,720,256" in rows["gate_proj"]
    assert rows["0 … 31 (32 alike)"].endswith("32 × 218,112,000")
    assert lines[0].endswith("7,248,023,552")
    assert len(lines) == 18


def test_the_tree_shows_alike_experts_once(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = write_config(tmp_path, PUBLISHED["Mixtral-8x7B"][0])
    out = mistral(capfd, "show", str(folder), "--tree").out
    assert "0 … 7 (8 alike)" in out
    assert out.count("w1") == 1


def test_the_tree_as_an_object_holds_every_tensor(capfd: pytest.CaptureFixture[str], model: Path) -> None:
    shown = json.loads(mistral(capfd, "show", str(model), "--tree", "--json").out)
    assert shown["tensors"] == {name: list(shape) for name, shape in SMALL.tensor_shapes().items()}


def test_neither_torch_nor_the_hub_s_library_is_imported(model: Path) -> None:
    program = (
        "import sys; from functools import partial; from mistral_cli.cli import guarded, run; "
        f"code = guarded(partial(run, ['show', {str(model)!r}, '--tree'])); "
        "loaded = {'torch', 'transformers', 'huggingface_hub'} & set(sys.modules); "
        "sys.exit(f'{code} {loaded}' if code or loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def test_a_folder_without_a_tokenizer_says_so(capfd: pytest.CaptureFixture[str], model: Path) -> None:
    (model / "tokenizer.model").unlink()
    code, out, _ = mistral(capfd, "show", str(model))
    assert code == 0
    assert "tokenizer     none: " in out


def test_damaged_weights_are_refused_and_not_described(capfd: pytest.CaptureFixture[str], model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    code, out, err = mistral(capfd, "show", str(model))
    assert (code, out) == (4, "")
    assert str(weights) in err


def test_an_unknown_model_is_not_found(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = mistral(capfd, "show", "mistralai/Mistral-7B-Instruct-v0.3")
    assert (code, out) == (3, "")
    assert "mistral pull mistralai/Mistral-7B-Instruct-v0.3" in err


def test_a_config_that_is_not_there_is_not_found(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert mistral(capfd, "show", str(tmp_path / "nothing" / "config.json")).code == 3


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"README.md": "---\nlicense: mit\n---\n"}, "mit"),
        ({"README.md": "\ufeff---\r\nlicense: 'mit'\r\n---\r\n"}, "mit"),
        ({"README.md": "---\nlicense: other\nlicense_name: mrl\n---\n", "LICENSE": "x"}, "mrl"),
        ({"README.md": "license: mit\n"}, ""),
        ({"README.md": "# No front matter\n", "LICENSE": "\n\n  Apache License\n  Version 2.0\n"}, "Apache License"),
        ({"LICENCE.txt": "MIT"}, "MIT"),
        ({"LICENSE": ""}, ""),
        ({}, ""),
    ],
)
def test_the_licence_is_what_the_readme_states_or_the_licence_file_begins_with(
    tmp_path: Path, files: dict[str, str], found: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode())
    assert find_license(tmp_path) == found
