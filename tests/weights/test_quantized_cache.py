"""Quantized copies: made once, mapped ever after, never used where they are not what they should be."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from quantized_copies import DENSE, load, only, same
from safetensors.torch import load_file
from written_checkpoints import draw_weights, write_huggingface, write_mistral

from mistral_cli.errors import CheckpointError
from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.weights.checkpoint import load_model
from mistral_cli.weights.quantized_cache import QuantizedCache, model_name
from mistral_cli.weights.quantized_file import ALIGNMENT, read_stored

SPARSE = replace(DENSE, moe=MoeArgs(num_experts=4))
ODD = replace(DENSE, hidden_dim=200)
"""With a layer that cannot be packed."""
TIED = replace(DENSE, tie_word_embeddings=True)


# -- made once, used ever after ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["nf4", "int4"])
@pytest.mark.parametrize("args", [DENSE, SPARSE, ODD], ids=["dense", "experts", "odd"])
@pytest.mark.parametrize("write", [write_huggingface, write_mistral])
def test_first_and_later_loads_are_what_is_made_without_a_cache(
    tmp_path: Path, cache: QuantizedCache, write: type(write_mistral), args: ModelArgs, scheme: str
) -> None:
    folder = write(tmp_path / "model", args, draw_weights(args, torch.bfloat16))
    plain, first, later = load(folder, None, scheme), load(folder, cache, scheme), load(folder, cache, scheme)
    assert same(first, plain)
    assert same(later, plain)
    assert [type(module) for module in later.modules()] == [type(module) for module in plain.modules()]
    tokens = torch.tensor([[1, 5, 9]])
    assert torch.equal(later(tokens)[0], plain(tokens)[0])


def test_a_model_without_a_head_of_its_own_is_kept_too(tmp_path: Path, cache: QuantizedCache) -> None:
    folder = write_huggingface(tmp_path / "model", TIED, draw_weights(TIED, torch.bfloat16))
    assert same(load(folder, cache), load(folder))
    assert same(load(folder, cache), load(folder))
    assert len(cache.entries()) == 1


def test_a_later_load_does_not_read_the_weights_of_the_checkpoint(
    checkpoint: Path, cache: QuantizedCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(checkpoint, cache)
    monkeypatch.setattr("mistral_cli.weights.checkpoint.read_tensors", None)
    assert same(load(checkpoint, cache), first)


def test_the_tensors_of_a_later_load_are_the_pages_of_the_file(checkpoint: Path, cache: QuantizedCache) -> None:
    load(checkpoint, cache)
    model = load(checkpoint, cache)
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if str(only(cache)) in line]
    ranges = [tuple(int(end, 16) for end in line[0].split("-")) for line in lines]
    for tensor in model.state_dict().values():
        assert any(start <= tensor.data_ptr() < end for start, end in ranges)
        assert tensor.data_ptr() % ALIGNMENT == 0


def test_the_file_is_plain_safetensors_for_the_user_alone(checkpoint: Path, cache: QuantizedCache) -> None:
    model, path = load(checkpoint, cache), only(cache)
    held = sum(tensor.nbytes for name, tensor in load_file(path).items() if not name.startswith("_padding"))
    assert held == sum(tensor.nbytes for tensor in model.state_dict().values())
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == path.parents[1].stat().st_mode & 0o777 == 0o700


def test_progress_counts_the_bytes_of_the_checkpoint(checkpoint: Path, cache: QuantizedCache) -> None:
    seen: list[tuple[int, int]] = []
    load_model(checkpoint, "bfloat16", progress=lambda *pair: seen.append(pair), quantize="nf4", cache=cache)
    total = 2 * DENSE.parameters
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)


# -- what a copy is made of and for ------------------------------------------------------------------------------------


def test_codes_in_the_order_of_one_kind_of_processor_are_not_read_on_another(
    checkpoint: Path, cache: QuantizedCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mistral_cli.kernels.library._load", lambda: "it was not built")
    for level in ("AVX2", "AVX512", "AVX2"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda level=level: level)
        load(checkpoint, cache, "int4")
    layouts = {entry.stored.identity.layout for entry in cache.entries()}
    assert layouts == {"int4-torch-cpu-1-AVX2", "int4-torch-cpu-1-AVX512"}


def test_each_scheme_and_dtype_has_a_copy_of_its_own(checkpoint: Path, cache: QuantizedCache) -> None:
    load(checkpoint, cache)
    load(checkpoint, cache, "int4")
    load_model(checkpoint, "float32", quantize="nf4", cache=cache)
    assert len(cache.entries()) == 3


@pytest.mark.parametrize("field", ["scheme", "layout", "device", "dtype"])
def test_a_copy_for_something_else_is_not_found(checkpoint: Path, cache: QuantizedCache, field: str) -> None:
    load(checkpoint, cache)
    stored = read_stored(only(cache))
    assert cache.find(stored.model, stored.identity)
    assert cache.find(stored.model, replace(stored.identity, **{field: "another"})) is None


def test_a_copy_under_the_name_of_another_is_not_used(checkpoint: Path, cache: QuantizedCache) -> None:
    load(checkpoint, cache)
    path = only(cache)
    stored = read_stored(path)
    other = replace(stored.identity, dtype="float16")
    path.rename(path.with_name(path.name.replace(stored.identity.key, other.key)))
    assert cache.find(stored.model, other) is None


def test_changed_weights_are_quantized_anew(checkpoint: Path, cache: QuantizedCache) -> None:
    before = load(checkpoint, cache)
    weights = {name: weight * 2 for name, weight in draw_weights(DENSE, torch.bfloat16).items()}
    write_huggingface(checkpoint, DENSE, weights)
    after = load(checkpoint, cache)
    assert not same(after, before)
    assert same(after, load(checkpoint))
    assert [bool(entry.problem) for entry in cache.entries()] == [False, True]
    assert "has changed since" in cache.entries()[1].problem


def test_other_weights_of_the_same_size_and_time_are_noticed(checkpoint: Path, cache: QuantizedCache) -> None:
    load(checkpoint, cache)
    file = checkpoint / "model.safetensors"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    with file.open("r+b") as opened:
        opened.seek(-2, os.SEEK_END)
        opened.write(b"\x80\x3f")
    os.utime(file, ns=times)
    assert same(load(checkpoint, cache), load(checkpoint))
    assert len(cache.entries()) == 2


def test_a_link_to_the_checkpoint_finds_the_same_copy(tmp_path: Path, checkpoint: Path, cache: QuantizedCache) -> None:
    snapshot = tmp_path / "models--mistralai--Some-7B" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    for file in checkpoint.iterdir():
        (snapshot / file.name).symlink_to(file)
    load(snapshot, cache)
    stored = read_stored(only(cache))
    assert stored.model == model_name(snapshot) == "mistralai/Some-7B"
    assert only(cache).name.startswith("Some-7B-nf4-cpu-")
    assert {Path(stamp.path).parent for stamp in stored.identity.files} == {checkpoint}


# -- damage ------------------------------------------------------------------------------------------------------------


def flip(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def rewrite_header(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


DAMAGE = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size - 100),
    "cut in the header": lambda path: os.truncate(path, 50),
    "empty": lambda path: os.truncate(path, 0),
    "longer": lambda path: os.truncate(path, path.stat().st_size + 1),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a flipped bit in the header": lambda path: flip(path, path.read_bytes().index(b"nibbles") + 2),
    "another length in the header": lambda path: flip(path, 0),
    "another version": lambda path: rewrite_header(path, b'\\"version\\": 1', b'\\"version\\": 2'),
    "safetensors of somebody else": lambda path: shutil.copy(path.parents[2] / "model" / "model.safetensors", path),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_copy_is_said_ignored_and_made_again(
    checkpoint: Path, cache: QuantizedCache, said: list[str], damage: str
) -> None:
    load(checkpoint, cache)
    path = only(cache)
    size = path.stat().st_size
    DAMAGE[damage](path)
    with pytest.raises(CheckpointError):
        read_stored(path)
    (entry,) = cache.entries()
    assert entry.problem.startswith("damaged: ")
    assert same(load(checkpoint, cache), load(checkpoint))
    assert len(said) == 1
    assert said[0].endswith("The copy is made again.")
    assert only(cache).stat().st_size == size
    assert cache.entries()[0].problem == ""


def test_a_copy_without_a_tensor_of_the_model_is_made_again(checkpoint: Path, cache: QuantizedCache) -> None:
    load(checkpoint, cache)
    stored = read_stored(only(cache))
    count = len(stored.tensors)
    with cache.writing(stored.model, stored.identity, tensors=1, nbytes=100) as writer:
        writer.add("model.norm.weight", "BF16", (2,), memoryview(bytes(4)))
    assert len(read_stored(only(cache)).tensors) == 1
    assert same(load(checkpoint, cache), load(checkpoint))
    assert len(read_stored(only(cache)).tensors) == count
