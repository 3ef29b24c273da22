"""Fetching from a hub that works, and that stops in the middle: all through the real library."""

from __future__ import annotations

import signal
import subprocess
import sys
from threading import Event
from typing import TYPE_CHECKING

import pytest

from hub.hub_client import CONFIG, WEIGHTS, a_repo, environment, in_cache, mistral, mistral_without_pauses, wait_until
from hub.stand_in_hub import COMMIT, Repo, StandInHub, etag_of
from mistral_cli.weights.adapters.places import adapter_folder, adapter_name
from mistral_cli.weights.hub import is_cached, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEBIBYTE = 1 << 20


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub(repos={"owner/model": a_repo()}) as stand_in:
        yield stand_in


def test_a_model_is_fetched_whole_and_is_then_found_in_the_cache(hub: StandInHub) -> None:
    run = mistral(hub, "pull", "owner/model", "--yes")
    assert (run.returncode, run.stdout) == (0, f"{resolve('owner/model')}\n")
    folder = resolve("owner/model")
    assert {file.name for file in folder.iterdir()} == {
        *("config.json", "params.json", "README.md", "model.safetensors", "tokenizer.model.v3")
    }
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (folder / "config.json").read_bytes() == CONFIG


def test_an_adapter_is_fetched_without_its_pickles_and_is_then_found(hub: StandInHub) -> None:
    files = dict.fromkeys(("adapter_model.safetensors", "adapter_model.bin", "optimizer.pt"), WEIGHTS)
    hub.repos["owner/adapter"] = Repo({"adapter_config.json": b"{}", **files})
    run = mistral(hub, "pull", "owner/adapter", "--yes")
    folder = adapter_folder("owner/adapter")
    assert (run.returncode, run.stdout) == (0, f"{folder}\n")
    assert {file.name for file in folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert adapter_name(folder) == "adapter"


def test_the_library_itself_finds_what_was_fetched(hub: StandInHub) -> None:
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0
    program = (
        "from huggingface_hub import hf_hub_download; "
        "print(hf_hub_download('owner/model', 'model.safetensors', local_files_only=True))"
    )
    env = environment(hub, HF_HUB_OFFLINE="1")
    run = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(resolve("owner/model") / "model.safetensors")


def test_one_format_of_the_weights_is_fetched_and_no_pickle(hub: StandInHub) -> None:
    hub.repos["owner/model"].files["pytorch_model.bin"] = b"p" * 2000
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0
    assert {item.path.rsplit("/", 1)[-1] for item in hub.requests if "/resolve/" in item.path} == {
        *("config.json", "params.json", "README.md", "model.safetensors", "tokenizer.model.v3")
    }


def test_a_second_fetch_asks_for_no_content(hub: StandInHub) -> None:
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0
    hub.requests.clear()
    run = mistral(hub, "pull", "owner/model")  # nothing to fetch, so nothing to agree to
    assert run.returncode == 0
    assert not [item for item in hub.requests if "/resolve/" in item.path]


def test_another_revision_is_fetched_beside_the_first(hub: StandInHub) -> None:
    hub.repos["owner/model"].revisions = ("main", "v0.1")
    assert mistral(hub, "pull", "owner/model", "--revision", "v0.1", "--yes").returncode == 0
    assert resolve("owner/model", revision="v0.1").name == COMMIT
    assert not is_cached("owner/model")


def test_a_connection_cut_in_the_middle_is_taken_up_where_it_broke(hub: StandInHub) -> None:
    hub.cuts["model.safetensors"] = [MEBIBYTE + 100_000]
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0
    assert hub.fetched("model.safetensors") == [None, f"bytes={MEBIBYTE}-"]
    assert (resolve("owner/model") / "model.safetensors").read_bytes() == WEIGHTS


def test_a_hub_that_ignores_ranges_is_read_from_the_start_again(hub: StandInHub) -> None:
    hub.cuts["model.safetensors"] = [2 * MEBIBYTE]
    hub.ignores_ranges = True
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0
    assert (resolve("owner/model") / "model.safetensors").read_bytes() == WEIGHTS


def test_a_connection_that_always_breaks_at_the_same_place_is_given_up_with_what_to_do(hub: StandInHub) -> None:
    hub.cuts["model.safetensors"] = [2 * MEBIBYTE] + [0] * 20
    run = mistral_without_pauses(hub, "pull", "owner/model", "--yes")
    assert run.returncode == 7
    assert "broke the connection" in run.stderr
    assert "run the same command again to go on" in run.stderr
    assert not is_cached("owner/model")
    assert len(hub.cuts["model.safetensors"]) >= 10
    hub.cuts.clear()
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0
    assert hub.fetched("model.safetensors")[-1] == f"bytes={2 * MEBIBYTE}-"


def test_a_hub_that_is_overworked_for_a_moment_is_asked_again(hub: StandInHub) -> None:
    hub.cdn_moods = [503, 429]
    assert mistral_without_pauses(hub, "pull", "owner/model", "--yes").returncode == 0


def test_a_hub_that_closes_a_connection_between_two_requests_is_asked_again(hub: StandInHub) -> None:
    hub.closes = {"config.json": 2, "model.safetensors": 1}
    assert mistral_without_pauses(hub, "pull", "owner/model", "--yes").returncode == 0
    assert hub.closes == {"config.json": 0, "model.safetensors": 0}


def test_a_hub_that_always_closes_the_connection_is_given_up(hub: StandInHub) -> None:
    hub.closes = {"config.json": 20}
    run = mistral_without_pauses(hub, "pull", "owner/model", "--yes")
    assert run.returncode == 7
    assert "broke the connection" in run.stderr
    assert hub.closes["config.json"] > 0


def test_an_answer_that_is_too_short_every_time_is_given_up(hub: StandInHub) -> None:
    hub.replaced["model.safetensors"] = WEIGHTS[:MEBIBYTE]
    run = mistral_without_pauses(hub, "pull", "owner/model", "--yes")
    assert run.returncode == 7
    assert not is_cached("owner/model")


def test_a_commit_may_be_named_in_full(hub: StandInHub) -> None:
    assert mistral(hub, "pull", "owner/model", "--revision", COMMIT, "--yes").returncode == 0
    assert resolve("owner/model", revision=COMMIT).name == COMMIT


def test_ctrl_c_keeps_what_came_and_the_next_time_goes_on_there(hub: StandInHub) -> None:
    hub.holds["model.safetensors"] = Event()
    command = [sys.executable, "-m", "mistral_cli", "pull", "owner/model", "--yes"]
    process = subprocess.Popen(command, env=environment(hub), stderr=subprocess.PIPE, text=True)
    partial = in_cache("owner/model", "blobs", f"{etag_of(WEIGHTS)}.incomplete")
    wait_until(lambda: partial.exists() and partial.stat().st_size == MEBIBYTE)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "What came is kept" in said
    assert "Traceback" not in said
    assert not is_cached("owner/model")
    hub.holds.pop("model.safetensors").set()
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0
    assert hub.fetched("model.safetensors")[-1] == f"bytes={MEBIBYTE}-"
    assert (resolve("owner/model") / "model.safetensors").read_bytes() == WEIGHTS


def test_a_content_that_was_changed_on_the_way_is_not_kept(hub: StandInHub) -> None:
    hub.replaced["model.safetensors"] = WEIGHTS[:-1] + b"x"
    run = mistral(hub, "pull", "owner/model", "--yes")
    assert run.returncode == 7
    assert "model.safetensors of owner/model is not what the hub says" in run.stderr
    assert not list(in_cache("owner/model").rglob("*.incomplete"))
    hub.replaced.clear()
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0


def test_a_small_file_that_was_changed_on_the_way_is_not_kept(hub: StandInHub) -> None:
    hub.replaced["config.json"] = CONFIG[:-1] + b" "
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 7


def test_a_pointer_in_place_of_weights_is_named_as_such(hub: StandInHub) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 14000000000\n"
    hub.repos["owner/model"].files["model.safetensors"] = pointer
    run = mistral(hub, "pull", "owner/model", "--yes")
    assert run.returncode == 4
    assert "git-LFS pointer" in run.stderr
    assert not is_cached("owner/model")


def test_a_repository_that_lacks_a_shard_of_its_own_index_is_refused(hub: StandInHub) -> None:
    index = b'{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}'
    shard = {"model-00001-of-00002.safetensors": WEIGHTS}
    hub.repos["owner/model"] = Repo({"config.json": CONFIG, "model.safetensors.index.json": index, **shard})
    run = mistral(hub, "pull", "owner/model", "--yes")
    assert run.returncode == 4
    assert "incomplete at the hub itself: it lacks model-00002-of-00002.safetensors" in run.stderr


def test_a_broken_link_in_the_cache_is_mended_by_fetching_again(hub: StandInHub) -> None:
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0
    (resolve("owner/model") / "model.safetensors").resolve().unlink()
    assert not is_cached("owner/model")
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0
    assert is_cached("owner/model")


def test_a_read_only_cache_is_an_error_in_words(hub: StandInHub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = mistral(hub, "pull", "owner/model", "--yes", HF_HUB_CACHE=str(tmp_path / "file" / "hub"))
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert "hub's cache cannot be written" in run.stderr


def test_two_at_once_fetch_each_file_once(hub: StandInHub) -> None:
    hub.holds["model.safetensors"] = Event()
    command = [sys.executable, "-m", "mistral_cli", "pull", "owner/model", "--yes"]
    both = [subprocess.Popen(command, env=environment(hub), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    wait_until(lambda: len([item for item in hub.requests if item.path.endswith("tokenizer.model.v3")]) >= 3)
    hub.holds["model.safetensors"].set()
    printed = {process.communicate(timeout=120)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert printed == {f"{resolve('owner/model')}\n"}
    assert hub.fetched("model.safetensors") == [None]


def test_a_disk_without_links_holds_the_model_once(hub: StandInHub) -> None:
    run = mistral(hub, "pull", "owner/model", "--yes", HF_HUB_DISABLE_SYMLINKS="1")
    assert run.returncode == 0
    assert not (resolve("owner/model") / "model.safetensors").is_symlink()
    assert not list(in_cache("owner/model", "blobs").iterdir())


def test_a_mirror_that_hides_the_sizes_is_read_all_the_same_but_never_unasked(hub: StandInHub) -> None:
    hub.hides_sizes = True
    assert mistral(hub, "pull", "owner/model").returncode == 2
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0
    assert (resolve("owner/model") / "model.safetensors").read_bytes() == WEIGHTS


def test_a_disk_that_takes_no_more_keeps_what_came(hub: StandInHub) -> None:
    program = (
        "import resource; from mistral_cli.cli import main; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({2 * MEBIBYTE}, {2 * MEBIBYTE})); main()"
    )
    command = [sys.executable, "-c", program, "pull", "owner/model", "--yes"]
    run = subprocess.run(command, env=environment(hub), capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "The hub's cache cannot be written: File too large." in run.stderr
    assert mistral(hub, "pull", "owner/model", "--yes").returncode == 0
    assert hub.fetched("model.safetensors")[-1] == f"bytes={2 * MEBIBYTE}-"
