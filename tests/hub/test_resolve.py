"""A model's name becomes a folder on this disk, without the network."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mistral_cli.errors import CheckpointError, ModelNotFoundError, UsageError
from mistral_cli.weights.hub import (
    BUILTIN,
    DEFAULT_MODEL,
    NotFetchedError,
    builtin_path,
    default_model,
    full_name,
    is_cached,
    resolve,
)
from mistral_cli.weights.hub_cache import cache_folder, cached_ids, repo_folder

COMMIT = "a" * 40


def put_in_cache(repo_id: str, *names: str, revision: str = "main") -> Path:
    """Lay out a repository as the library does: content in blobs, links in a snapshot, the commit in a ref."""
    repo = repo_folder(repo_id)
    snapshot = repo / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir()
    for name in names:
        (repo / "blobs" / f"blob-of-{name}").write_text("{}")
        (snapshot / name).symlink_to(Path("../../blobs") / f"blob-of-{name}")
    (repo / "refs" / revision).parent.mkdir(parents=True, exist_ok=True)
    (repo / "refs" / revision).write_text(COMMIT)
    return snapshot


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert resolve(str(tmp_path)) == tmp_path


def test_a_tilde_is_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    assert resolve("~/model") == tmp_path / "model"


def test_a_relative_folder_is_found_before_the_hub_is_thought_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "owner" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert resolve("owner/model").samefile(tmp_path / "owner" / "model")


def test_a_folder_above_this_one_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert resolve("../model").samefile(tmp_path / "model")


def test_builtin_is_the_folder_in_the_package() -> None:
    assert resolve(BUILTIN) == builtin_path()
    assert (builtin_path() / "__init__.py").is_file()


@pytest.mark.usefixtures("_no_network")
def test_a_cached_id_resolves_without_a_network_call() -> None:
    snapshot = put_in_cache("owner/model", "config.json", "model.safetensors")
    assert resolve("owner/model") == snapshot
    assert is_cached("owner/model")


def test_a_cached_id_resolves_without_importing_the_library() -> None:
    put_in_cache("owner/model", "config.json", "model.safetensors")
    program = (
        "import sys; from mistral_cli.weights.hub import resolve; resolve('owner/model'); "
        "sys.exit('huggingface_hub' in sys.modules or 'torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("revision", ["v0.1", "refs/pr/1", COMMIT])
def test_a_cached_revision_resolves(revision: str) -> None:
    snapshot = put_in_cache("owner/model", "model.safetensors", revision="v0.1" if revision == COMMIT else revision)
    assert resolve("owner/model", revision=revision) == snapshot


def test_another_revision_than_the_cached_one_is_not_here() -> None:
    put_in_cache("owner/model", "model.safetensors")
    with pytest.raises(NotFetchedError, match=r"owner/model at revision v0\.1") as caught:
        resolve("owner/model", revision="v0.1")
    assert "mistral pull owner/model --revision v0.1" in caught.value.hint


@pytest.mark.usefixtures("_no_network")
def test_an_id_that_was_never_fetched_says_where_it_looked_and_how_to_fetch_it() -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        resolve(DEFAULT_MODEL)
    assert caught.value.exit_code == 3
    assert str(cache_folder()) in caught.value.message
    assert caught.value.hint == f"To fetch it: mistral pull {DEFAULT_MODEL}"


def test_a_mistyped_id_gets_the_closest_name_known_or_cached() -> None:
    put_in_cache("someone/special-model", "model.safetensors")
    with pytest.raises(ModelNotFoundError, match=r"Did you mean someone/special-model\?"):
        resolve("someone/spezial-model")


@pytest.mark.parametrize(
    ("name", "hint"), [("buildin", "Did you mean builtin?"), ("something-else", "A hub id is OWNER/NAME.")]
)
def test_a_name_without_an_owner_is_not_offered_for_download(name: str, hint: str) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        resolve(name)
    assert caught.value.hint == hint


@pytest.mark.parametrize("name", ["/nowhere/model", "./model", "~/model", "a/b/c"])
def test_a_path_where_nothing_is_says_the_whole_path(name: str) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        resolve(name)
    assert str(Path(name).expanduser().absolute()) in caught.value.message
    assert "mistral pull" not in caught.value.hint


def test_a_mistyped_path_gets_the_closest_folder_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mistral-7b").mkdir()
    with pytest.raises(ModelNotFoundError) as caught:
        resolve(str(tmp_path / "mistal-7b"))
    assert caught.value.hint == f"Did you mean {tmp_path / 'mistral-7b'}?"


@pytest.mark.parametrize("name", ["", "../../x", "-rf", "a" * 300, "CON", "a\0b", "~nobody-of-this-name/.."])
def test_a_name_no_model_can_have_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError):
        resolve(name)


def test_a_file_is_refused_with_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(UsageError) as caught:
        resolve(str(file))
    assert str(tmp_path) in caught.value.hint


def test_a_revision_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--revision"):
        resolve(str(tmp_path), revision="main")


def test_a_link_in_the_cache_that_leads_nowhere_is_named() -> None:
    snapshot = put_in_cache("owner/model", "config.json", "model.safetensors")
    (snapshot / "model.safetensors").resolve().unlink()
    with pytest.raises(CheckpointError) as caught:
        resolve("owner/model")
    assert caught.value.exit_code == 4
    assert str(snapshot / "model.safetensors") in caught.value.message
    assert "mistral pull owner/model" in caught.value.hint
    assert not is_cached("owner/model")


def test_a_missing_shard_of_the_index_means_not_wholly_fetched() -> None:
    snapshot = put_in_cache("owner/model", "config.json", "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(NotFetchedError, match=r"lacks model-00002-of-00002\.safetensors") as caught:
        resolve("owner/model")
    assert "mistral pull owner/model" in caught.value.hint


def test_a_missing_shard_is_known_from_the_other_names_without_an_index() -> None:
    put_in_cache("owner/model", "config.json", "model-00001-of-00003.safetensors")
    with pytest.raises(NotFetchedError, match=r"model-00002-of-00003\.safetensors, model-00003-of-00003"):
        resolve("owner/model")


def test_an_index_that_is_garbage_is_left_to_the_loader() -> None:
    snapshot = put_in_cache("owner/model", "model.safetensors")
    (snapshot / "model.safetensors.index.json").write_text("[1")
    assert resolve("owner/model") == snapshot


def test_consolidated_weights_are_whole_beside_an_index_of_shards_that_were_not_fetched() -> None:
    snapshot = put_in_cache("owner/model", "params.json", "consolidated.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    assert resolve("owner/model") == snapshot


def test_a_snapshot_without_weights_is_enough_where_only_the_config_is_wanted() -> None:
    snapshot = put_in_cache("owner/model", "config.json")
    assert resolve("owner/model", weights=False) == snapshot
    with pytest.raises(NotFetchedError, match="safetensors"):
        resolve("owner/model")


def test_a_ref_that_holds_garbage_is_as_if_it_were_not_there() -> None:
    put_in_cache("owner/model", "model.safetensors")
    (repo_folder("owner/model") / "refs" / "main").write_text("../../../../etc")
    assert not is_cached("owner/model")


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"])
def test_the_library_s_variables_say_where_the_cache_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.setenv("DISK", str(tmp_path))
    monkeypatch.setenv(variable, "$DISK/hub")
    assert cache_folder() == tmp_path / "hub"


def test_our_reading_of_the_library_s_variables_is_its_own(tmp_path: Path) -> None:
    program = (
        "from huggingface_hub import constants; from mistral_cli.weights.hub_cache import cache_folder; "
        "assert str(cache_folder()) == constants.HF_HUB_CACHE, (cache_folder(), constants.HF_HUB_CACHE)"
    )
    for env in ({}, {"HF_HOME": "~/hf"}, {"XDG_CACHE_HOME": "/xdg"}, {"HF_HUB_CACHE": "$HOME/c"}):
        subprocess.run([sys.executable, "-c", program], env={"HOME": str(tmp_path), **env}, check=True)


def test_the_default_model_is_used_once_it_is_here() -> None:
    assert default_model() == BUILTIN
    put_in_cache(DEFAULT_MODEL, "config.json", "model.safetensors")
    assert default_model() == DEFAULT_MODEL


def test_a_damaged_default_model_is_not_passed_over_in_silence() -> None:
    snapshot = put_in_cache(DEFAULT_MODEL, "config.json", "model.safetensors")
    (snapshot / "model.safetensors").resolve().unlink()
    assert default_model() == DEFAULT_MODEL


def test_a_default_model_that_was_not_wholly_fetched_is_not_used() -> None:
    put_in_cache(DEFAULT_MODEL, "config.json")
    assert default_model() == BUILTIN


def test_the_ids_in_the_cache_are_listed() -> None:
    assert cached_ids() == ()
    put_in_cache("owner/model", "model.safetensors")
    put_in_cache("gpt2", "model.safetensors")
    assert cached_ids() == ("gpt2", "owner/model")


def test_a_short_name_is_the_model_it_stands_for() -> None:
    snapshot = put_in_cache(DEFAULT_MODEL, "config.json", "model.safetensors")
    assert resolve("7b") == resolve("7B") == snapshot
    assert full_name("7b") == DEFAULT_MODEL


def test_a_folder_comes_before_a_short_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_in_cache(DEFAULT_MODEL, "config.json", "model.safetensors")
    (tmp_path / "7b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("7b").samefile(tmp_path / "7b")
    assert full_name("7b") == "7b"


def test_a_short_name_whose_model_is_not_here_says_how_to_fetch_it_in_full() -> None:
    with pytest.raises(NotFetchedError, match="mistralai/Mistral-Nemo-Instruct-2407 is not on this disk") as caught:
        resolve("nemo")
    assert caught.value.hint == "To fetch it: mistral pull mistralai/Mistral-Nemo-Instruct-2407"


def test_a_mistyped_short_name_gets_the_closest() -> None:
    with pytest.raises(ModelNotFoundError, match=r"Did you mean mixtral\?"):
        resolve("mixtrl")
