"""A quantized folder is read by this program and by transformers, and both compute the same with it."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM
from written_checkpoints import DENSE, SPARSE, draw_weights, write_huggingface, write_mistral

from mistral_cli.errors import MistralError, UsageError
from mistral_cli.kernels.linear import PackedLinear
from mistral_cli.weights import bitsandbytes_export
from mistral_cli.weights.bitsandbytes_export import export
from mistral_cli.weights.bitsandbytes_library import functional
from mistral_cli.weights.checkpoint import load_model

ARGS = replace(DENSE, dim=128, head_dim=32, hidden_dim=192, vocab_size=96)
TOKENS = torch.arange(2, 42)[None]


def by_transformers(folder: Path) -> torch.Tensor:
    functional()  # imported quietly
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, device_map="cpu")
        logits: torch.Tensor = model(TOKENS).logits
    return logits


def relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got.float() - wanted.float()).norm() / wanted.float().norm())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_huggingface(tmp_path / "model", ARGS, draw_weights(ARGS, torch.bfloat16))


@pytest.mark.parametrize("scheme", ["nf4", "int8"])
@pytest.mark.parametrize(
    ("write", "tied"),
    [(write_huggingface, False), (write_huggingface, True), (write_mistral, False)],
    ids=["hugging face", "tied", "mistral"],
)
def test_transformers_reads_it_and_computes_the_same(
    tmp_path: Path, write: type(write_mistral), scheme: str, tied: bool
) -> None:
    args = replace(ARGS, tie_word_embeddings=tied)
    folder = write(tmp_path / "model", args, draw_weights(args, torch.bfloat16))
    nbytes = export(folder, tmp_path / "small", scheme)
    assert nbytes < sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    ours, theirs = load_model(tmp_path / "small")(TOKENS)[0], by_transformers(tmp_path / "small")
    assert relative(ours, theirs) < 4e-2  # the rows of each are rounded in its own way, and these weights are large
    assert relative(theirs, load_model(folder, "bfloat16")(TOKENS)[0]) < (0.4 if scheme == "nf4" else 0.06)


def test_a_folder_holds_what_quantizing_while_loading_makes(source: Path, tmp_path: Path) -> None:
    export(source, tmp_path / "small", "nf4")
    read, made = load_model(tmp_path / "small"), load_model(source, quantize="nf4")
    layers = {name: module for name, module in made.named_modules() if isinstance(module, PackedLinear)}
    assert len(layers) == 2 * 7 + 1
    for name, layer in layers.items():
        assert torch.equal(read.get_submodule(name).nibbles, layer.nibbles)


def test_many_shards_have_an_index(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(source, tmp_path / "one", "nf4")
    monkeypatch.setattr(bitsandbytes_export, "SHARD", 50_000)
    export(source, tmp_path / "small", "nf4")
    assert len([*(tmp_path / "small").glob("model-0000*-of-0000*.safetensors")]) > 2
    index = json.loads((tmp_path / "small" / "model.safetensors.index.json").read_text())
    assert {*index["weight_map"].values()} == {file.name for file in (tmp_path / "small").glob("*.safetensors")}
    one, many = (load_model(tmp_path / name)(TOKENS)[0] for name in ("one", "small"))
    assert torch.equal(one, many)


def test_the_files_beside_the_weights_come_along_and_others_do_not(source: Path, tmp_path: Path) -> None:
    for name in (
        "tokenizer.model.v3",
        "generation_config.json",
        "chat_template.jinja",
        "notes.txt",
        "consolidated.pth",
    ):
        (source / name).write_text("{}")
    export(source, tmp_path / "small", "int8")
    names = {file.name for file in (tmp_path / "small").iterdir()}
    copied = {"tokenizer.model.v3", "generation_config.json", "chat_template.jinja"}
    assert names == {"config.json", "model.safetensors", *copied}


def test_the_progress_ends_with_all_bytes(source: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    export(source, tmp_path / "small", "nf4", progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (2 * ARGS.parameters, 2 * ARGS.parameters)


# -- what is refused, and what is left behind --------------------------------------------------------------------------


def test_a_folder_with_something_in_it_is_left_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "diary.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(UsageError, match="is not empty, and what it holds is no model") as caught:
            export(source, tmp_path / "small", "nf4", force=force)
        assert "--force" not in caught.value.hint
    assert [file.name for file in (tmp_path / "small").iterdir()] == ["diary.txt"]


def test_a_model_is_replaced_only_by_force(source: Path, tmp_path: Path) -> None:
    export(source, tmp_path / "small", "nf4")
    with pytest.raises(UsageError, match="is not empty: it holds a model") as caught:
        export(source, tmp_path / "small", "int8")
    assert "--force" in caught.value.hint
    export(source, tmp_path / "small", "int8", force=True)
    assert json.loads((tmp_path / "small" / "config.json").read_text())["quantization_config"]["load_in_8bit"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model", "small"]


def test_a_model_whose_successor_cannot_take_its_place_stays(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(source, tmp_path / "small", "nf4")
    rename = Path.rename

    def refuse_the_new(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial") and target.name == "small":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_the_new)
    with pytest.raises(MistralError, match="cannot be written: Input/output error"):
        export(source, tmp_path / "small", "int8", force=True)
    assert json.loads((tmp_path / "small" / "config.json").read_text())["quantization_config"]["load_in_4bit"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model", "small"]


def test_a_model_does_not_replace_itself(source: Path) -> None:
    with pytest.raises(UsageError, match="is the model itself"):
        export(source, source, "nf4", force=True)


def test_what_bitsandbytes_has_no_form_for_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no format for int4"):
        export(source, tmp_path / "small", "int4")
    experts = replace(SPARSE, dim=128)
    folder = write_huggingface(tmp_path / "experts", experts, draw_weights(experts))
    with pytest.raises(UsageError, match="no quantized form of a mixture of experts"):
        export(folder, tmp_path / "small", "nf4")
    export(source, tmp_path / "once", "nf4")
    with pytest.raises(UsageError, match="quantized to nf4 already"):
        export(tmp_path / "once", tmp_path / "twice", "nf4")


def test_a_disk_without_room_is_found_before_anything_is_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 1000}))
    with pytest.raises(MistralError, match=r"bytes are needed in .*, but 1,000 are free"):
        export(source, tmp_path / "small", "nf4")
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_disk_that_fills_up_leaves_nothing(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", refuse)
    (source / "tokenizer.model.v3").write_text("{}")
    with pytest.raises(MistralError, match="small cannot be written: No space left on device"):
        export(source, tmp_path / "small", "nf4")
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
