"""A model with its adapters in its weights computes what it computes with them beside it, here and in transformers."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from transformers import AutoModelForCausalLM
from written_checkpoints import DENSE, SPARSE, draw_weights, write_huggingface, write_mistral

from full_disk import room_for_files
from lora_files import write_adapter
from mistral_cli.errors import CheckpointError, MistralError, UsageError
from mistral_cli.weights.adapters.attached import Adapters
from mistral_cli.weights.adapters.merge import merge
from mistral_cli.weights.bitsandbytes_export import export
from mistral_cli.weights.checkpoint import load_model

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from mistral_cli.model.args import ModelArgs

TOKENS = torch.arange(2, 42)[None]


def unmerged(folder: Path, *adapters: tuple[Path, float]) -> Tensor:
    model = load_model(folder)
    attached = Adapters(model)
    for number, (adapter, strength) in enumerate(adapters):
        attached.load(adapter, strength, name=str(number))
    logits: Tensor = model(TOKENS)[0]
    return logits


def by_transformers(folder: Path, *, is_sparse: bool) -> Tensor:
    options = {"experts_implementation": "eager"} if is_sparse else {}  # the others have no float64
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(folder, **options)
        logits: Tensor = model(TOKENS).logits
    return logits


def test_a_new_model_is_as_readable_as_the_user_wants_files_to_be(tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "source", DENSE, draw_weights(DENSE))
    before = os.umask(0o027)
    try:
        merge(source, [(str(write_adapter(tmp_path / "adapter", DENSE)), 1.0)], tmp_path / "merged")
    finally:
        os.umask(before)
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in (tmp_path / "merged").iterdir()} == {
        "config.json": "0o640",
        "model.safetensors": "0o640",
    }


@pytest.mark.parametrize(
    ("args", "write"),
    [
        (DENSE, write_huggingface),
        (replace(DENSE, tie_word_embeddings=True), write_huggingface),
        (SPARSE, write_huggingface),
        (DENSE, write_mistral),
        (SPARSE, write_mistral),
    ],
    ids=["hugging face", "tied", "mixtral", "mistral's own", "mixtral, mistral's own"],
)
def test_merged_computes_what_unmerged_does_and_transformers_the_same(
    args: ModelArgs, write: type(write_mistral), tmp_path: Path
) -> None:
    folder = write(tmp_path / "model", args, draw_weights(args, torch.float64))
    one, two = (write_adapter(tmp_path / name, args) for name in ("one", "two"))
    merged = merge(folder, [(str(one), 0.5), (str(two), -2)], tmp_path / "merged")
    wanted, got = unmerged(folder, (one, 0.5), (two, -2)), load_model(tmp_path / "merged")(TOKENS)[0]
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)
    theirs = by_transformers(tmp_path / "merged", is_sparse=args.moe is not None)
    torch.testing.assert_close(theirs, wanted, rtol=0, atol=1e-8)
    assert (wanted - unmerged(folder)).abs().max() > 1e-2
    assert merged.nbytes == 8 * args.parameters


def test_in_bfloat16_merged_is_unmerged_to_a_hundredth(tmp_path: Path) -> None:
    weights = {name: 0.2 * weight for name, weight in draw_weights(DENSE, torch.bfloat16).items()}
    folder = write_huggingface(tmp_path / "model", DENSE, weights)
    adapter = write_adapter(tmp_path / "one", DENSE)
    merge(folder, [(str(adapter), 1)], tmp_path / "merged")
    wanted, got = unmerged(folder, (adapter, 1)).float(), load_model(tmp_path / "merged")(TOKENS)[0].float()
    assert load_model(tmp_path / "merged").dtype == torch.bfloat16
    assert (got - wanted).norm() / wanted.norm() < 1e-2


def test_the_type_can_be_another_and_the_config_says_so(tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path / "model", DENSE, draw_weights(DENSE, torch.float32))
    merge(folder, [(str(write_adapter(tmp_path / "one", DENSE)), 1)], tmp_path / "merged", dtype=torch.bfloat16)
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["torch_dtype"] == "bfloat16"
    assert load_model(tmp_path / "merged").dtype == torch.bfloat16


def test_tokenizer_and_generation_config_come_along_and_the_old_weights_do_not(tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path / "model", DENSE, draw_weights(DENSE), shards=2)
    for name in ("tokenizer.model.v3", "generation_config.json", "chat_template.jinja", "notes.txt"):
        (folder / name).write_text("{}")
    merge(folder, [(str(write_adapter(tmp_path / "one", DENSE)), 1)], tmp_path / "merged")
    copied = {"tokenizer.model.v3", "generation_config.json", "chat_template.jinja"}
    assert {file.name for file in (tmp_path / "merged").iterdir()} == {"config.json", "model.safetensors", *copied}


def test_a_quantized_model_is_refused_with_what_to_do(tmp_path: Path) -> None:
    args = replace(DENSE, dim=64, head_dim=16, hidden_dim=128)
    folder = write_huggingface(tmp_path / "model", args, draw_weights(args, torch.bfloat16))
    export(folder, tmp_path / "small", "nf4")
    adapter = write_adapter(tmp_path / "one", args)
    with pytest.raises(UsageError, match="are quantized to nf4") as caught:
        merge(tmp_path / "small", [(str(adapter), 1)], tmp_path / "merged")
    assert "Name the model before that" in caught.value.hint


@pytest.mark.parametrize("scheme", ["nf4", "int8"])
@pytest.mark.parametrize("write", [write_huggingface, write_mistral], ids=["hugging face", "mistral's own"])
def test_quantized_at_once_is_bit_for_bit_what_is_quantized_afterwards(
    scheme: str, write: type(write_mistral), tmp_path: Path
) -> None:
    args = replace(DENSE, dim=64, head_dim=16, hidden_dim=128)
    folder = write(tmp_path / "model", args, draw_weights(args, torch.bfloat16))
    adapters = [(str(write_adapter(tmp_path / "one", args)), 2.0)]
    merge(folder, adapters, tmp_path / "merged")
    nbytes = export(tmp_path / "merged", tmp_path / "afterwards", scheme)
    assert merge(folder, adapters, tmp_path / "at once", scheme=scheme).nbytes == nbytes
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "at once" / name).read_bytes() == (tmp_path / "afterwards" / name).read_bytes()


def test_what_bitsandbytes_has_no_form_for_is_refused(tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path / "model", SPARSE, draw_weights(SPARSE))
    adapter = write_adapter(tmp_path / "one", SPARSE)
    for scheme, said in (("int4", "no format for int4"), ("nf4", "no quantized form of a mixture of experts")):
        with pytest.raises(UsageError, match=said):
            merge(folder, [(str(adapter), 1)], tmp_path / "merged", scheme=scheme)
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("write", [write_huggingface, write_mistral], ids=["hugging face", "mistral's own"])
@pytest.mark.parametrize("before", [None, "an older one"])
def test_a_full_disk_ends_it_and_what_was_there_stays(
    before: str | None, write: type(write_mistral), tmp_path: Path
) -> None:
    folder, target = write(tmp_path / "model", DENSE, draw_weights(DENSE)), tmp_path / "merged"
    adapter = write_adapter(tmp_path / "one", DENSE)
    if before:
        target.mkdir()
        (target / "config.json").write_text(before)
    there = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with room_for_files() as allow:
        allow(20_000)
        with pytest.raises(MistralError, match=r"merged cannot be written: .*File too large") as caught:
            merge(folder, [(str(adapter), 1)], target, force=True)
    assert (caught.value.exit_code, caught.value.hint) == (1, "Name another folder, or free some space.")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == there
    merge(folder, [(str(adapter), 1)], target, force=True)  # and then there is room


def test_too_little_room_is_found_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_huggingface(tmp_path / "model", DENSE, draw_weights(DENSE))
    adapter = write_adapter(tmp_path / "one", DENSE)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1000, 900, 100))
    with pytest.raises(MistralError, match=r"bytes are needed in .*, but 100 are free"):
        merge(folder, [(str(adapter), 1)], tmp_path / "merged")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "one"]


def spoil(folder: Path, adapter: Path, target: Path) -> None:
    """Make everything fit but for one number."""
    from safetensors.torch import load_file, save_file

    weights = load_file(adapter / "adapter_model.safetensors")
    next(iter(weights.values()))[0, 0] = float("nan")
    save_file(weights, adapter / "adapter_model.safetensors")


def occupy(folder: Path, adapter: Path, target: Path) -> None:
    target.mkdir()
    (target / "diary.txt").write_text("mine")


def enlarge(folder: Path, adapter: Path, target: Path) -> None:
    config = adapter / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "lora_alpha": 9e8}))


@pytest.mark.parametrize(
    ("hurt", "error", "said"),
    [
        (spoil, CheckpointError, "NaN"),
        (occupy, UsageError, "is not empty"),
        (enlarge, MistralError, "does not fit into torch.float16"),
    ],
)
def test_what_cannot_be_leaves_everything_as_it_was(
    hurt: type(spoil), error: type[MistralError], said: str, tmp_path: Path
) -> None:
    folder = write_huggingface(tmp_path / "model", DENSE, draw_weights(DENSE))
    adapter, target = write_adapter(tmp_path / "one", DENSE), tmp_path / "merged"
    hurt(folder, adapter, target)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    with pytest.raises(error, match=said):
        merge(folder, [(str(adapter), 1)], target, dtype=torch.float16)
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before
