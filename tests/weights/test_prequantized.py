"""Folders that transformers and bitsandbytes quantized load as they are, and compute what they compute there."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING

import pytest
import torch
from quantized_copies import only, same
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, MistralConfig

from mistral_cli.backends.native import load_native
from mistral_cli.errors import CheckpointError, UsageError
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.weights.bitsandbytes_4bit import Linear4bit
from mistral_cli.weights.bitsandbytes_library import functional
from mistral_cli.weights.checkpoint import load_model, read_args
from mistral_cli.weights.files import find_files
from mistral_cli.weights.taken_over import held_bytes
from mistral_cli.weights.torch_int8 import Int8Linear

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.weights.quantized_cache import QuantizedCache

CONFIG = {
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 96,
    "max_position_embeddings": 128,
    "sliding_window": None,
}
TOKENS = torch.arange(2, 42)[None]
FORMS = {
    "nf4, double": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "fp4, double": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": True},
    "nf4 in bfloat16": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_quant_storage": "bfloat16"},
    "int8": {"load_in_8bit": True},
}
COMPUTES = {"nf4, double": PackedLinear, "nf4": PackedLinear, "fp4, double": Linear4bit, "int8": Int8Linear}


def save(folder: Path, **how: object) -> torch.Tensor:
    """Save a quantized model drawn from a fixed seed as transformers does; return its logits."""
    functional()  # imported quietly
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(MistralConfig(**CONFIG), dtype=torch.bfloat16)
    model.save_pretrained(folder / "plain")
    config = BitsAndBytesConfig(bnb_4bit_compute_dtype=torch.bfloat16, **how)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(
            folder / "plain", quantization_config=config, dtype=torch.bfloat16, device_map="cpu"
        )
        model.save_pretrained(folder / "quantized")
        with torch.no_grad():
            logits: torch.Tensor = model(TOKENS).logits
    return logits


def relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got.float() - wanted.float()).norm() / wanted.float().norm())


@pytest.mark.parametrize("form", FORMS)
def test_what_transformers_quantized_computes_here_what_it_does_there(tmp_path: Path, form: str) -> None:
    theirs = save(tmp_path, **FORMS[form])
    model = load_model(tmp_path / "quantized")
    layer = model.get_submodule("model.layers.1.mlp.down_proj")
    assert isinstance(layer, COMPUTES.get(form, PackedLinear))
    assert model.dtype == torch.bfloat16
    assert relative(model(TOKENS)[0], theirs) < 2e-2


@pytest.mark.parametrize("form", ["nf4, double", "fp4, double", "int8"])
def test_it_computes_without_our_kernel_too(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistral_cli.kernels.library._load", lambda: "it was not built")
    theirs = save(tmp_path, **FORMS[form])
    assert relative(load_model(tmp_path / "quantized")(TOKENS)[0], theirs) < 2e-2


def test_it_is_known_for_what_it_is_and_not_quantized_again(tmp_path: Path) -> None:
    save(tmp_path, **FORMS["int8"])
    files = find_files(tmp_path / "quantized")
    assert read_args(files.config).dim == 128
    with pytest.raises(UsageError, match="cannot be used: these weights are quantized to int8 already"):
        load_native(tmp_path / "quantized", name="it", quantize="nf4")


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("absmax", lambda tensor: tensor[:-1]),
        ("nested_absmax", lambda tensor: tensor.repeat(2)),
        ("nested_quant_map", lambda tensor: tensor[:100]),
        ("absmax", lambda tensor: tensor.float()),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_anything_is_read(tmp_path: Path, part: str, change: type) -> None:
    save(tmp_path, **FORMS["nf4, double"])
    file = tmp_path / "quantized" / "model.safetensors"
    tensors = load_file(file)
    name = f"model.layers.0.mlp.up_proj.weight.{part}"
    tensors[name] = change(tensors[name]).contiguous()
    save_file(tensors, file)
    with pytest.raises(CheckpointError, match=r"up_proj.weight was quantized, but its .* does not fit"):
        load_model(tmp_path / "quantized")


def test_a_state_that_says_nothing_sensible_is_refused(tmp_path: Path) -> None:
    save(tmp_path, **FORMS["nf4"])
    file = tmp_path / "quantized" / "model.safetensors"
    tensors = load_file(file)
    name = "model.layers.0.mlp.up_proj.weight.quant_state.bitsandbytes__nf4"
    tensors[name] = torch.tensor(list(b'{"shape": 3}'), dtype=torch.uint8)
    save_file(tensors, file)
    with pytest.raises(CheckpointError, match="its state is none of bitsandbytes'"):
        load_model(tmp_path / "quantized")


def test_other_quantizations_are_refused_by_name_with_what_to_do(tmp_path: Path) -> None:
    save(tmp_path, **FORMS["nf4"])
    config = tmp_path / "quantized" / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps({**values, "quantization_config": {"quant_method": "gptq", "bits": 4}}))
    with pytest.raises(CheckpointError, match="quantized with GPTQ") as caught:
        load_model(tmp_path / "quantized")
    assert "--quantize nf4" in caught.value.hint


# -- kept, counted, left as it is --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "none"])
@pytest.mark.parametrize("form", ["nf4, double", "int8"])
def test_its_order_for_this_processor_is_kept_like_that_of_what_we_quantize(
    tmp_path: Path, form: str, kernel: bool, cache: QuantizedCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernel:
        monkeypatch.setattr("mistral_cli.kernels.library._load", lambda: "it was not built")
    save(tmp_path, **FORMS[form])
    plain, first = load_model(tmp_path / "quantized"), load_model(tmp_path / "quantized", cache=cache)
    assert only(cache).name.startswith(f"quantized-{form.split(',')[0]}-cpu-")
    assert cache.entries()[0].nbytes < 2 * sum(part.nbytes for part in plain.state_dict().values()) + 2**18
    monkeypatch.setattr("mistral_cli.weights.checkpoint.match_tensors", None)  # a later one looks at the config alone
    later = load_model(tmp_path / "quantized", "bfloat16", cache=cache)
    assert same(first, plain)
    assert same(later, plain)
    assert torch.equal(later(TOKENS)[0], plain(TOKENS)[0])


def test_what_we_do_not_quantize_to_ourselves_is_loaded_anew(tmp_path: Path, cache: QuantizedCache) -> None:
    save(tmp_path, **FORMS["fp4, double"])
    assert same(load_model(tmp_path / "quantized", cache=cache), load_model(tmp_path / "quantized"))
    assert cache.entries() == []


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "none"])
@pytest.mark.parametrize("form", FORMS)
def test_its_bytes_are_known_before_it_is_loaded_its_head_s_among_them(
    tmp_path: Path, form: str, kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernel:
        monkeypatch.setattr("mistral_cli.kernels.library._load", lambda: "it was not built")
    save(tmp_path, **FORMS[form])
    files = find_files(tmp_path / "quantized")
    counted = held_bytes(files, read_args(files.config), torch.bfloat16, torch.device("cpu"))
    model = load_model(tmp_path / "quantized")
    assert type(model.lm_head) is torch.nn.Linear
    assert counted == sum(part.nbytes for part in model.state_dict().values())


@pytest.mark.parametrize("scheme", ["int8", "int4"])
def test_it_does_not_become_a_copy_in_another_scheme(tmp_path: Path, scheme: str, cache: QuantizedCache) -> None:
    save(tmp_path, **FORMS["nf4, double"])
    with pytest.raises(UsageError, match=f"{scheme} cannot be used: these weights are quantized to nf4 already"):
        load_model(tmp_path / "quantized", quantize=scheme, cache=cache)
