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
from safetensors.numpy import save_file

from mistral_cli.commands.show_facts import find_license, kv_cache_bytes, memory_needed
from mistral_cli.commands.sizes import size
from mistral_cli.model.args import ModelArgs

if TYPE_CHECKING:
    Config = dict[str, object]

TOKENIZERS = Path(mistral_common.__file__).parent / "data"

MISTRAL: Config = {
    "architectures": ["MistralForCausalLM"],
    "model_type": "mistral",
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 32768,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 32000,
}
LARGE = {"hidden_size": 5120, "head_dim": 128, "num_hidden_layers": 40, "vocab_size": 131072}
MINISTRAL = {"num_hidden_layers": 36, "intermediate_size": 12288, "head_dim": 128, "vocab_size": 131072}
MIXTRAL = {
    "architectures": ["MixtralForCausalLM"],
    "model_type": "mixtral",
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}
PUBLISHED = {
    "Mistral-7B-v0.1": (MISTRAL | {"sliding_window": 4096, "rope_theta": 10000.0}, 7_241_732_096),
    "Mistral-7B-v0.3": (MISTRAL | {"vocab_size": 32768}, 7_248_023_552),
    "Mistral-Nemo-12B": (MISTRAL | LARGE | {"max_position_embeddings": 131072}, 12_247_782_400),
    "Ministral-8B-2410": (MISTRAL | MINISTRAL | {"sliding_window": 32768, "rope_theta": 1e8}, 8_019_808_256),
    "Mistral-Small-24B-2501": (MISTRAL | LARGE | {"intermediate_size": 32768, "rope_theta": 1e8}, 23_572_403_200),
    "Mixtral-8x7B": (MISTRAL | MIXTRAL, 46_702_792_704),
}
"""Model -> its published config, its published number of parameters."""

SMALL = ModelArgs(
    dim=32,
    n_layers=3,
    head_dim=8,
    hidden_dim=48,
    n_heads=4,
    n_kv_heads=2,
    vocab_size=64,
    rope_theta=1e6,
    max_position_embeddings=128,
    sliding_window=16,
)
SMALL_CONFIG = MISTRAL | {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "head_dim": 8,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "max_position_embeddings": 128,
    "sliding_window": 16,
}


def write_config(folder: Path, config: Config) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


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
    assert memory_needed(ModelArgs.mistral_7b_v03())["nf4"] == 4_048_035_840


def test_a_small_model_is_not_quantized_unless_asked(capfd: pytest.CaptureFixture[str], model: Path) -> None:
    assert (
        "quantization  none unless asked for: --quantize nf4, int8 or int4\n" in mistral(capfd, "show", str(model)).out
    )
    assert json.loads(mistral(capfd, "show", str(model), "--json").out)["quantization"] == "none"


def test_files_that_are_quantized_already_say_so(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    section = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(SMALL_CONFIG | {"quantization_config": section}))
    said = mistral(capfd, "show", str(path)).out
    assert "quantization  nf4: these files are quantized already, and are loaded as they are\n" in said
    assert "--quantize" not in said
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
        "quantization  nf4 unless told otherwise (4.05 GB): --quantize none, int8 or int4\n"
        in mistral(capfd, "show", str(path)).out
    )
    assert json.loads(mistral(capfd, "show", str(path), "--json").out)["quantization"] == "nf4"


def test_the_cache_of_a_layer_with_a_window_stops_growing_there() -> None:
    half = ModelArgs(n_layers=2, sliding_window=(None, 100))
    per_layer = half.kv_bytes_per_token(2) // 2
    assert kv_cache_bytes(half, 50) == 100 * per_layer
    assert kv_cache_bytes(half, 1000) == 1100 * per_layer


def test_sizes_are_written_with_the_unit_that_fits() -> None:
    assert [size(n) for n in (0, 999, 1500, 2_340_000, 14_496_047_104)] == [
        *("0 B", "999 B", "1.50 kB", "2.34 MB", "14.50 GB")
    ]
