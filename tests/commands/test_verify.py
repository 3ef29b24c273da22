"""``mistral pull --verify`` reads every byte back, names what is damaged, and fetches it again where that is wanted."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from command_line import mistral as call

from hub.cached_models import CONFIG, WEIGHTS, cache_model
from hub.hub_client import a_repo, mistral
from hub.stand_in_hub import StandInHub
from mistral_cli.weights.hub import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub(repos={"owner/model": a_repo()}) as stand_in:
        yield stand_in


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.resolve().write_bytes(content)


# -- without the hub: the names of the contents are their hashes ------------------------------------------------------


def test_whole_files_are_said_to_be_whole_without_the_network(capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = cache_model()
    code, out, err = call(capfd, "pull", "--verify", "owner/model")
    assert (code, out) == (0, f"{snapshot}\n")
    assert "checked against the names that the cache gave them" in err
    assert err.endswith("owner/model: 2 files, 5.03 kB, all as the cache's names say.\n")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])  # git's hash, and SHA-256
def test_a_single_flipped_bit_is_named(capfd: pytest.CaptureFixture[str], name: str) -> None:
    snapshot = cache_model()
    flip(snapshot / name)
    code, out, err = call(capfd, "pull", "--verify", "owner/model")
    assert (code, out) == (4, "")
    assert f"error: owner/model is damaged: {name} (its content is not what it was when it came)" in err
    assert "When the hub can be reached: mistral pull --verify --yes owner/model" in err
    assert (snapshot / name).exists()


def test_the_command_that_mends_it_names_the_revision(capfd: pytest.CaptureFixture[str]) -> None:
    flip(cache_model(revision="v1") / "config.json")
    err = call(capfd, "pull", "--verify", "owner/model", "--revision", "v1").err
    assert "mistral pull --verify --yes owner/model --revision v1" in err


def test_a_file_cut_short_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = cache_model()
    os.truncate(snapshot / "model.safetensors", 100)
    assert call(capfd, "pull", "--verify", "owner/model").code == 4


def test_a_link_to_nothing_is_named_beside_other_damage(capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = cache_model()
    flip(snapshot / "config.json")
    (snapshot / "model.safetensors").resolve().unlink()
    code, _, err = call(capfd, "pull", "--verify", "owner/model")
    assert code == 4
    assert "warning: model.safetensors: a link to nothing." in err
    assert "and 1 more" in err


def test_a_file_without_a_hash_in_its_name_is_said_not_to_be_checked(capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = cache_model()
    (snapshot / "notes.txt").write_text("mine")
    code, _, err = call(capfd, "pull", "--verify", "owner/model")
    assert code == 0
    assert "they were not checked: notes.txt." in err


def test_yes_removes_nothing_while_the_hub_is_out_of_reach(capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = cache_model()
    flip(snapshot / "model.safetensors")
    assert call(capfd, "pull", "--verify", "--yes", "owner/model").code == 4
    assert len((snapshot / "model.safetensors").read_bytes()) == len(WEIGHTS)


def test_the_object_says_what_was_damaged(capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = cache_model()
    flip(snapshot / "model.safetensors")
    code, out, _ = call(capfd, "pull", "--verify", "--json", "owner/model")
    shown = json.loads(out)
    assert (code, shown["verified"], shown["files"]) == (4, "cache", 2)
    assert [row["file"] for row in shown["damaged"]] == ["model.safetensors"]


def test_a_check_does_not_count_as_use(capfd: pytest.CaptureFixture[str]) -> None:
    weights = cache_model() / "model.safetensors"
    os.utime(weights, (1_000_000_000, 1_000_000_000))
    assert call(capfd, "pull", "--verify", "owner/model").code == 0
    assert weights.stat().st_atime == 1_000_000_000


def test_what_lies_outside_the_cache_is_never_removed(tmp_path: Path) -> None:
    from mistral_cli.errors import CheckpointError
    from mistral_cli.weights.hub_verify import FileCheck, discard

    (tmp_path / "mine").write_bytes(CONFIG)
    snapshot = cache_model(files={"model.safetensors": WEIGHTS})
    (snapshot / "config.json").symlink_to(tmp_path / "mine")
    (snapshot / "folder").symlink_to(tmp_path)
    link = FileCheck(name="config.json", path=snapshot / "config.json", etag="", expected=None, problem="bad")
    inside = FileCheck(name="folder/mine", path=snapshot / "folder" / "mine", etag="", expected=None, problem="bad")
    discard("owner/model", [link])
    with pytest.raises(CheckpointError, match="lies outside the hub's cache"):
        discard("owner/model", [inside])
    assert not (snapshot / "config.json").is_symlink()
    assert (tmp_path / "mine").read_bytes() == CONFIG


# -- with the hub -----------------------------------------------------------------------------------------------------


def test_with_the_hub_a_file_of_the_wrong_size_is_fetched_again_where_yes_is_said(hub: StandInHub) -> None:
    mistral(hub, "pull", "owner/model", "--yes")
    weights = resolve("owner/model") / "model.safetensors"
    os.truncate(weights, 1000)
    run = mistral(hub, "pull", "--verify", "owner/model")
    assert run.returncode == 4
    assert "model.safetensors: 1,000 bytes, but should have 3,072,000" in run.stderr
    hub.requests.clear()
    run = mistral(hub, "pull", "--verify", "--yes", "owner/model")
    assert (run.returncode, run.stdout) == (0, f"{resolve('owner/model')}\n")
    assert "1 file fetched again." in run.stderr
    assert weights.stat().st_size == 3_072_000
    assert {item.path.rsplit("/")[-1] for item in hub.requests if item.at_cdn} == {"model.safetensors"}


def test_a_content_that_agrees_with_its_name_but_not_with_the_hub_is_damage(hub: StandInHub) -> None:
    mistral(hub, "pull", "owner/model", "--yes")
    hub.repos["owner/model"].files["config.json"] = b'{"model_type": "mistral", "hidden_size": 65}'
    run = mistral(hub, "pull", "--verify", "--json", "owner/model")
    assert (run.returncode, json.loads(run.stdout)["verified"]) == (4, "hub")
    assert json.loads(run.stdout)["damaged"][0]["file"] == "config.json"


def test_a_model_that_is_not_here_is_fetched_and_then_checked(hub: StandInHub) -> None:
    run = mistral(hub, "pull", "--verify", "--yes", "--json", "owner/model")
    shown = json.loads(run.stdout)
    assert (run.returncode, shown["verified"], shown["damaged"]) == (0, "hub", [])
    assert "5 files, 3.08 MB, all as the hub has them." in run.stderr


def test_without_verify_the_object_names_the_folder(hub: StandInHub) -> None:
    run = mistral(hub, "pull", "--yes", "--json", "owner/model")
    path = resolve("owner/model")
    assert json.loads(run.stdout) == {"model": "owner/model", "commit": path.name, "path": str(path)}
