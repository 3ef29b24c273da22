"""Quantized copies where there is no room for them, where a limit is reached, and where several processes make them."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from quantized_copies import load, only, same

from full_disk import room_for_files
from mistral_cli.weights.quantized_cache import QuantizedCache
from mistral_cli.weights.quantized_file import Identity

if TYPE_CHECKING:
    from pathlib import Path

# -- no room, no right -------------------------------------------------------------------------------------------------


@pytest.fixture
def small_files():
    """Let no file grow beyond 20 kB: as a full disk does."""
    with room_for_files() as allow:
        allow(20_000)
        yield


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


def test_a_file_system_that_sets_nothing_aside_is_written_to_all_the_same(
    checkpoint: Path, cache: QuantizedCache, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    load(checkpoint, cache)
    assert (only(cache).is_file(), said) == (True, [])


def test_what_goes_wrong_where_the_weights_come_from_is_not_laid_to_the_cache(cache: QuantizedCache) -> None:
    identity = Identity(files=(), scheme="nf4", layout="x", device="cpu", dtype="bfloat16")
    with pytest.raises(BrokenPipeError), cache.writing("a", identity, tensors=1, nbytes=10):
        raise BrokenPipeError
    assert list(cache.folder.iterdir()) == []


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


def test_nothing_goes_for_a_copy_that_does_not_come(cache: QuantizedCache, said: list[str]) -> None:
    small = replace(cache, limit=1_500_000)
    kept = put(small, "a", 10**6, 10)
    identity = Identity(files=(), scheme="nf4", layout="x", device="cpu", dtype="bfloat16")
    with pytest.raises(KeyboardInterrupt), small.writing("b", identity, tensors=1, nbytes=10**6):
        raise KeyboardInterrupt
    assert (kept.exists(), said) == (True, [])


def test_the_copy_just_made_stays_however_new_the_others_seem(cache: QuantizedCache) -> None:
    small = replace(cache, limit=1_500_000)
    other = put(small, "a", 10**6, 2**33)
    new = put(small, "b", 10**6, 10)
    assert (other.exists(), new.exists()) == (False, True)


def test_what_cannot_be_removed_does_not_undo_the_new_copy(cache: QuantizedCache, said: list[str]) -> None:
    small = replace(cache, limit=1_500_000)
    put(small, "a", 10**6, 10)
    (cache.folder / "b.safetensors").mkdir()
    os.utime(cache.folder / "b.safetensors", (5, 5))
    new = put(small, "c", 10**6, 20)
    assert new.exists()
    assert len(said) == 1
    assert said[0].startswith("Removed the quantized copy a-nf4-cpu-")


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
