"""Which files of a repository are fetched, and whether they fit on the disk."""

from __future__ import annotations

import shutil
from typing import NamedTuple

import pytest

from mistral_cli.errors import CheckpointError, MistralError
from mistral_cli.weights.hub_plan import SPARE, Plan, RemoteFile, check_disk, choose_files

BESIDE = (
    *("README.md", "LICENSE", "config.json", "generation_config.json", "params.json", "tokenizer.json"),
    *("tokenizer.model", "tokenizer.model.v3", "tokenizer_config.json", "special_tokens_map.json", "tekken.json"),
)
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json")
NEVER = (".gitattributes", "pytorch_model.bin", "consolidated.00.pth", "model.gguf", "sub/model.safetensors", "x.py")


def test_of_shards_and_a_consolidated_file_only_the_shards_are_fetched() -> None:
    chosen = choose_files("a/b", [*BESIDE, *SHARDS, *NEVER, "consolidated.safetensors"])
    assert set(chosen) == {*BESIDE, *SHARDS}


def test_of_shards_and_one_whole_file_only_the_shards_are_fetched() -> None:
    assert "model.safetensors" not in choose_files("a/b", [*BESIDE, *SHARDS, "model.safetensors"])


def test_one_whole_file_is_fetched_where_there_are_no_shards() -> None:
    assert choose_files("a/b", ["config.json", "model.safetensors", *NEVER]) == ("config.json", "model.safetensors")


def test_mistral_s_own_format_is_fetched_where_it_is_the_only_one() -> None:
    names = ["params.json", "consolidated.safetensors", "tekken.json", "README.md"]
    assert choose_files("a/b", [*names, *NEVER]) == tuple(sorted(names))


def test_mistral_s_own_format_is_fetched_where_the_other_lacks_its_config() -> None:
    chosen = choose_files("a/b", ["params.json", "consolidated.safetensors", "model.safetensors"])
    assert chosen == ("consolidated.safetensors", "params.json")


def test_of_an_adapter_its_config_and_its_matrices_are_fetched() -> None:
    adapter = ("README.md", "adapter_config.json", "adapter_model.safetensors")
    assert choose_files("a/b", [*adapter, "adapter_model.bin", "tokenizer.json", "training_args.bin"]) == adapter


def test_a_repository_with_a_model_and_an_adapter_is_a_model() -> None:
    adapter = ["adapter_config.json", "adapter_model.safetensors"]
    assert choose_files("a/b", [*adapter, "config.json", "model.safetensors"]) == ("config.json", "model.safetensors")


def test_an_adapter_of_pickles_is_refused_by_name() -> None:
    with pytest.raises(CheckpointError, match="pickles"):
        choose_files("a/b", ["adapter_config.json", "adapter_model.bin"])


def test_pickles_are_refused_by_name() -> None:
    with pytest.raises(CheckpointError, match="pickles") as caught:
        choose_files("a/b", ["config.json", "pytorch_model.bin"])
    assert caught.value.exit_code == 4


def test_a_repository_without_weights_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no safetensors weights"):
        choose_files("a/b", ["config.json", "README.md"])


@pytest.mark.parametrize("name", ["../config.json", "..\\config.json", "/etc/config.json", "sub/tokenizer.json"])
def test_a_file_name_that_leads_out_of_the_folder_is_never_fetched(name: str) -> None:
    assert name not in choose_files("a/b", ["config.json", "model.safetensors", name])


class _Usage(NamedTuple):
    free: int


def a_plan(size: int) -> Plan:
    file = RemoteFile(name="model.safetensors", size=size, etag="e" * 64)
    return Plan(repo_id="a/b", revision="main", commit="c" * 40, files=(file,))


def test_a_model_that_does_not_fit_on_the_disk_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(free=5_000_000_000))
    with pytest.raises(MistralError, match=r"needs 14\.50 GB more, but .* has only 5\.00 GB free") as caught:
        check_disk(a_plan(14_500_000_000))
    assert caught.value.exit_code == 1
    check_disk(a_plan(4_000_000_000))


def test_what_came_of_an_interrupted_download_need_not_fit_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(free=SPARE + 2))
    plan = a_plan(1000)
    partial = plan.blob(plan.files[0]).with_name("e" * 64 + ".incomplete")
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * 998)
    assert (plan.total_bytes, plan.bytes_here, plan.bytes_to_fetch) == (1000, 998, 2)
    check_disk(plan)
