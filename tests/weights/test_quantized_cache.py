"""Quantized copies: made once, mapped ever after, never used where they are not what they should be."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from written_checkpoints import DENSE as TINY
from written_checkpoints import draw_weights, write_huggingface, write_mistral

from mistral_cli.errors import CheckpointError
from mistral_cli.model.args import ModelArgs, MoeArgs
from mistral_cli.weights.checkpoint import load_model
from mistral_cli.weights.quantized_cache import QuantizedCache, model_name
from mistral_cli.weights.quantized_file import ALIGNMENT, Identity, read_stored

if TYPE_CHECKING:
    from mistral_cli.model.transformer import Mistral

DENSE = replace(TINY, dim=128, hidden_dim=192, head_dim=32, vocab_size=200)
SPARSE = replace(DENSE, moe=MoeArgs(num_experts=4))
ODD = replace(DENSE, hidden_dim=200)
"""With a layer that cannot be packed."""
TIED = replace(DENSE, tie_word_embeddings=True)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_huggingface(tmp_path / "model", DENSE, draw_weights(DENSE, torch.bfloat16))


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, said: list[str]) -> QuantizedCache:
    return QuantizedCache(folder=tmp_path / "home" / "quantized", notice=said.append, warn=said.append)


def load(folder: Path, cache: QuantizedCache | None = None, scheme: str = "nf4") -> Mistral:
    return load_model(folder, "bfloat16", quantize=scheme, cache=cache)


def same(one: Mistral, other: Mistral) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def only(cache: QuantizedCache) -> Path:
    (entry,) = cache.entries()
    return entry.path


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


# -- no room, no right -------------------------------------------------------------------------------------------------


@pytest.fixture
def small_files():
    """Let no file grow beyond 20 kB: as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_the_model_loads_with_one_warning_and_leaves_nothing(
    checkpoint: Path, cache: QuantizedCache, said: list[str], small_files: None
) -> None:
    assert same(load(checkpoint, cache), load(checkpoint))
    assert len(said) == 1
    assert f"cannot be kept in {cache.folder}: File too large. They are made anew at every start." in said[0]
    assert list(cache.folder.iterdir()) == []


def test_a_disk_that_fills_up_while_writing_is_survived(
    checkpoint: Path, cache: QuantizedCache, said: list[str], small_files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")  # as on macOS: only writing finds out
    assert same(load(checkpoint, cache), load(checkpoint))
    assert len(said) == 1
    assert list(cache.folder.iterdir()) == []


def test_where_the_folder_cannot_be_made_the_model_loads_with_one_warning(
    checkpoint: Path, tmp_path: Path, said: list[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = QuantizedCache(folder=tmp_path / "file" / "quantized", warn=said.append)
    assert same(load(checkpoint, cache), load(checkpoint))
    assert len(said) == 1
    assert "Not a directory" in said[0]


def test_a_copy_beyond_the_limit_is_not_kept(checkpoint: Path, cache: QuantizedCache, said: list[str]) -> None:
    load(checkpoint, replace(cache, limit=1000))
    assert cache.entries() == []
    assert len(said) == 1
    assert "more than cache_limit allows (1,000)" in said[0]


# -- the limit ---------------------------------------------------------------------------------------------------------


def put(cache: QuantizedCache, name: str, nbytes: int, age: int) -> Path:
    """Write a copy of nothing in particular, last used ``age`` seconds after 1970."""
    identity = Identity(files=(), scheme="nf4", layout="x", device="cpu", dtype="bfloat16")
    with cache.writing(name, identity, tensors=1, nbytes=nbytes) as writer:
        writer.add("a", "U8", (nbytes,), memoryview(bytes(nbytes)))
    (entry,) = (entry for entry in cache.entries() if entry.name.startswith(name))
    os.utime(entry.path, (age, age))
    return entry.path


def test_above_the_limit_what_was_used_least_recently_goes_and_is_said(cache: QuantizedCache, said: list[str]) -> None:
    small = replace(cache, limit=4_000_000)
    oldest, middle, newest = (put(small, name, 10**6, age) for name, age in (("b", 10), ("a", 20), ("c", 30)))
    assert said == []
    latest = put(small, "d", 10**6, 40)
    assert [path.exists() for path in (oldest, middle, newest, latest)] == [False, True, True, True]
    assert len(said) == 1
    assert said[0].startswith("Removed the quantized copy b-nf4-cpu-")


def test_below_the_limit_and_without_one_nothing_goes(cache: QuantizedCache) -> None:
    for name in "abcdef":
        put(cache, name, 100_000, 10)
    put(replace(cache, limit=10**7), "g", 100_000, 20)
    assert len(cache.entries()) == 7


def test_a_load_is_a_use(checkpoint: Path, cache: QuantizedCache) -> None:
    load(checkpoint, cache)
    os.utime(only(cache), (10, 10))
    load(checkpoint, cache)
    assert cache.entries()[0].last_used > 10


# -- several processes -------------------------------------------------------------------------------------------------

LOADER = """
import sys
from pathlib import Path
from mistral_cli.weights.checkpoint import load_model
from mistral_cli.weights.quantized_cache import QuantizedCache
print("ready", flush=True)
sys.stdin.readline()
cache = QuantizedCache(folder=Path(sys.argv[2]), notice=print, warn=print)
model = load_model(sys.argv[1], "bfloat16", quantize="nf4", cache=cache)
print(sum(int(value.view(dtype=__import__("torch").uint8).sum()) for value in model.state_dict().values()))
"""

KILLED = """
import os, signal, sys
from pathlib import Path
from mistral_cli.weights.checkpoint import load_model
from mistral_cli.weights.quantized_cache import QuantizedCache

def halfway(done, total):
    if done > total / 2:
        os.kill(os.getpid(), getattr(signal, sys.argv[3]))

cache = QuantizedCache(folder=Path(sys.argv[2]))
load_model(sys.argv[1], "bfloat16", progress=halfway, quantize="nf4", cache=cache)
"""


def test_two_processes_at_once_both_get_the_model(checkpoint: Path, cache: QuantizedCache) -> None:
    command = [sys.executable, "-c", LOADER, checkpoint, cache.folder]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    expected = sum(int(value.view(torch.uint8).sum()) for value in load(checkpoint).state_dict().values())
    assert answers == [f"{expected}\n"] * 2
    assert [path.name for path in cache.folder.iterdir()] == [only(cache).name]


@pytest.mark.parametrize(("name", "left"), [("SIGKILL", 1), ("SIGINT", 0)])
def test_a_process_that_dies_while_writing_leaves_nothing_that_is_used(
    checkpoint: Path, cache: QuantizedCache, said: list[str], name: str, left: int
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", KILLED, checkpoint, cache.folder, name], check=False, capture_output=True
    )
    assert run.returncode == -getattr(signal, name)
    assert len(list(cache.folder.iterdir())) == left
    assert cache.entries() == []
    assert same(load(checkpoint, cache), load(checkpoint))
    assert [path.name for path in cache.folder.iterdir()] == [only(cache).name]  # the rest was swept
    assert said == []


def test_what_another_process_is_writing_is_not_swept(cache: QuantizedCache) -> None:
    identity = Identity(files=(), scheme="nf4", layout="x", device="cpu", dtype="bfloat16")
    with cache.writing("a", identity, tensors=1, nbytes=10) as writer:
        writer.add("a", "U8", (10,), memoryview(bytes(10)))
        assert cache.sweep() == 0
    assert len(cache.entries()) == 1


def test_a_copy_that_is_removed_while_it_is_mapped_goes_on_working(checkpoint: Path, cache: QuantizedCache) -> None:
    load(checkpoint, cache)
    model = load(checkpoint, cache)
    cache.remove(cache.entries()[0])
    assert cache.entries() == []
    assert same(model, load(checkpoint))


def test_an_entry_tells_what_it_is(checkpoint: Path, cache: QuantizedCache) -> None:
    load(checkpoint, cache)
    (entry,) = cache.entries()
    assert entry.stored
    assert entry.stored.model == str(checkpoint)
    assert entry.nbytes == entry.path.stat().st_size
    assert (entry.stored.identity.scheme, entry.stored.identity.device) == ("nf4", "cpu")
    shutil.rmtree(checkpoint)
    assert cache.entries()[0].problem.startswith("the checkpoint is gone: ")
