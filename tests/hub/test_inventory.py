"""What is on this disk, told from names, sizes and links."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hub.cached_models import CONFIG, OTHER_COMMIT, WEIGHTS, cache_model
from hub.stand_in_hub import COMMIT
from mistral_cli.weights.hub import DEFAULT_MODEL
from mistral_cli.weights.hub_cache import repo_folder
from mistral_cli.weights.hub_inventory import ModelHere, models_here, models_of, names_here

if TYPE_CHECKING:
    from pathlib import Path


def only(repo_id: str = "owner/model") -> ModelHere:
    (model,) = models_of(repo_id)
    return model


def test_a_cached_model_has_its_size_and_nothing_wrong() -> None:
    snapshot = cache_model()
    model = only()
    assert (model.name, model.revision, model.problem) == ("owner/model", None, "")
    assert model.path == snapshot
    assert model.nbytes == len(CONFIG) + len(WEIGHTS)


def test_a_model_was_used_when_its_weights_were_last_read() -> None:
    snapshot = cache_model()
    os.utime(snapshot / "config.json", (2_000_000_000, 1))
    os.utime(snapshot / "model.safetensors", (1_700_000_000, 1))
    assert only().last_used == 1_700_000_000


def test_what_is_linked_twice_counts_once() -> None:
    cache_model(files={"model.safetensors": WEIGHTS, "copy.safetensors": WEIGHTS})
    assert only().nbytes == len(WEIGHTS)


def test_a_link_to_nothing_is_damage() -> None:
    snapshot = cache_model()
    (snapshot / "model.safetensors").resolve().unlink()
    assert only().problem == "damaged: model.safetensors is a link to nothing"


def test_a_missing_shard_is_named() -> None:
    cache_model(files={"config.json": CONFIG, "model-00001-of-00003.safetensors": WEIGHTS})
    assert only().problem == "not whole: lacks model-00002-of-00003.safetensors and 1 more"


def test_a_model_without_safetensors_says_so() -> None:
    cache_model(files={"config.json": CONFIG, "pytorch_model.bin": WEIGHTS})
    assert only().problem == "no safetensors weights"


def test_an_unfinished_download_is_listed_with_what_came() -> None:
    cache_model(files={"config.json": CONFIG}, revision=None)
    (repo_folder("owner/model") / "blobs" / "abc.incomplete").write_bytes(b"12345")
    model = only()
    assert (model.revision, model.problem) == (None, "not whole: lacks *.safetensors")
    assert model.nbytes == len(CONFIG) + 5


def test_a_download_of_which_no_file_came_to_its_end_is_listed() -> None:
    blobs = repo_folder("owner/model") / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "abc.incomplete").write_bytes(b"12345")
    assert (only().problem, only().nbytes) == ("not whole", 5)


def test_revisions_are_listed_by_their_names_and_else_by_their_commits() -> None:
    cache_model()
    cache_model(revision="v0.1", commit=OTHER_COMMIT)
    cache_model(revision=None, commit="a" * 40)
    assert [model.revision for model in models_of("owner/model")] == [None, "a" * 40, "v0.1"]


def test_a_ref_whose_commit_is_not_here_is_no_model() -> None:
    cache_model()
    (repo_folder("owner/model") / "refs" / "v9").write_text(OTHER_COMMIT)
    assert [model.path.name for model in models_of("owner/model")] == [COMMIT]


def test_folders_that_are_named_hold_models_or_are_some(tmp_path: Path) -> None:
    for name in ("one", "many/two", "many/three"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_bytes(CONFIG)
        (tmp_path / name / "model.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "many" / "three" / "model.safetensors").unlink()
    (tmp_path / "many" / "notes").mkdir()
    found = models_here([tmp_path / "one", tmp_path / "many", tmp_path / "nowhere"])
    assert [(model.name, model.problem) for model in found] == [
        (str(tmp_path / "one"), ""),
        (str(tmp_path / "many" / "three"), "not whole: lacks *.safetensors"),
        (str(tmp_path / "many" / "two"), ""),
        ("builtin", ""),
    ]


def test_names_are_those_that_load_with_their_short_ones() -> None:
    cache_model(DEFAULT_MODEL)
    cache_model("owner/half", {"config.json": CONFIG})
    assert names_here() == ("7b", DEFAULT_MODEL, "builtin")


@pytest.mark.parametrize("library", ["torch", "huggingface_hub", "numpy"])
def test_looking_needs_no_large_library(library: str) -> None:
    cache_model()
    program = (
        "import sys; from mistral_cli.weights.hub_inventory import names_here; assert 'owner/model' in names_here(); "
        f"sys.exit('{library}' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
