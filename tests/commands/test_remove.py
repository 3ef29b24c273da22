"""``mistral remove`` frees what one revision of a model takes, and nothing else."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from command_line import mistral
from test_list import keep_copy

from hub.cached_models import CONFIG, OTHER_COMMIT, WEIGHTS, cache_model
from mistral_cli.engine.kv_file import About
from mistral_cli.engine.kv_store import KVStore
from mistral_cli.weights.hub import DEFAULT_MODEL, is_cached
from mistral_cli.weights.hub_cache import cache_folder, cached_ids, repo_folder

COPIES = "quantized"


def copies() -> list[Path]:
    return [*(Path(os.environ["MISTRAL_CLI_HOME"]) / "cache" / COPIES).glob("*.safetensors")]


def test_without_a_terminal_nothing_is_removed_unless_yes_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    cache_model()
    code, out, err = mistral(capfd, "remove", "owner/model")
    assert (code, out) == (2, "")
    assert "--yes" in err
    assert is_cached("owner/model")


def test_a_model_goes_with_its_quantized_copies_and_what_that_frees_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    keep_copy(cache_model())
    keep_copy(cache_model("owner/other"))
    freed = len(CONFIG) + len(WEIGHTS) + copies()[0].stat().st_size
    code, out, err = mistral(capfd, "remove", "owner/model", "--yes")
    assert (code, out, err) == (0, "owner/model\n", f"{freed / 1e3:.2f} kB freed.\n")
    assert cached_ids() == ("owner/other",)
    assert not repo_folder("owner/model").exists()
    assert len(copies()) == 1


def keep_cache(chat: str, weights: Path) -> Path:
    about = About(origin=chat, chat=chat, model="m", form="", files=(str(weights.resolve()),), tokens=1, firsts=())
    store = KVStore(folder=Path(os.environ["MISTRAL_CLI_HOME"]) / "cache" / "chats", limit=10**6)
    return store.write(about, (1,), 0, lambda _writer: None, lambda: None)


def test_a_model_takes_the_caches_along_that_only_it_can_go_on_from(capfd: pytest.CaptureFixture[str]) -> None:
    gone = keep_cache("a chat", cache_model() / "model.safetensors")
    stays = keep_cache("another", cache_model("owner/other") / "model.safetensors")
    freed = len(CONFIG) + len(WEIGHTS) + gone.stat().st_size
    assert mistral(capfd, "remove", "owner/model", "--yes").err == f"{freed / 1e3:.2f} kB freed.\n"
    assert (gone.exists(), stays.exists()) == (False, True)


def test_a_short_name_removes_its_model(capfd: pytest.CaptureFixture[str]) -> None:
    cache_model(DEFAULT_MODEL)
    assert mistral(capfd, "remove", "7b", "--yes").out == f"{DEFAULT_MODEL}\n"
    assert cached_ids() == ()


def test_another_revision_stays_with_all_it_shares(capfd: pytest.CaptureFixture[str]) -> None:
    cache_model()
    kept = cache_model(
        files={"config.json": CONFIG, "model.safetensors": b"o" * 2000}, revision="v1", commit=OTHER_COMMIT
    )
    code, _, err = mistral(capfd, "remove", "owner/model", "--yes")
    assert code == 0
    assert "5.00 kB freed." in err
    assert "Its revision v1 stays: mistral remove owner/model --revision v1" in err
    assert not is_cached("owner/model")
    assert is_cached("owner/model", "v1")
    assert (kept / "config.json").read_bytes() == CONFIG
    assert len([*(repo_folder("owner/model") / "blobs").iterdir()]) == 2
    assert mistral(capfd, "remove", "owner/model", "--revision", "v1", "--yes").code == 0
    assert cached_ids() == ()


def test_a_second_name_of_the_same_commit_keeps_it(capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = cache_model()
    (repo_folder("owner/model") / "refs" / "v1").write_text(snapshot.name)
    assert "0 B freed." in mistral(capfd, "remove", "owner/model", "--yes").err
    assert is_cached("owner/model", "v1")
    assert not is_cached("owner/model")


def test_a_revision_that_is_not_here_is_told_which_are(capfd: pytest.CaptureFixture[str]) -> None:
    cache_model(revision="v1")
    code, _, err = mistral(capfd, "remove", "owner/model", "--yes")
    assert code == 3
    assert "not its revision main: only v1. Say which: mistral remove owner/model --revision v1" in err


def test_an_unfinished_download_is_removed_too(capfd: pytest.CaptureFixture[str]) -> None:
    blobs = repo_folder("owner/model") / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "abc.incomplete").write_bytes(b"12345")
    assert "5 B freed." in mistral(capfd, "remove", "owner/model", "--yes").err
    assert cached_ids() == ()


def test_a_download_that_is_going_on_is_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    cache_model()
    lock = cache_folder() / ".locks" / "models--owner--model" / "abc.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, _, err = mistral(capfd, "remove", "owner/model", "--yes")
    assert code == 1
    assert "being fetched by another process" in err
    assert is_cached("owner/model")
    assert mistral(capfd, "remove", "owner/model", "--yes").code == 0


@pytest.mark.parametrize("links", ["a file", "the snapshot"])
def test_what_a_link_leads_to_outside_the_cache_stays(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, links: str
) -> None:
    (tmp_path / "mine.safetensors").write_bytes(WEIGHTS)
    snapshot = cache_model()
    if links == "a file":
        (snapshot / "more.safetensors").symlink_to(tmp_path / "mine.safetensors")
        (snapshot / "folder").symlink_to(tmp_path)
    else:
        shutil.rmtree(snapshot)
        snapshot.symlink_to(tmp_path)
    assert mistral(capfd, "remove", "owner/model", "--yes").code == 0
    assert cached_ids() == ()
    assert (tmp_path / "mine.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("part", ["", "blobs", "snapshots"])
def test_a_repository_that_is_a_link_out_of_the_cache_is_refused(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, part: str
) -> None:
    cache_model()
    folder = repo_folder("owner/model") / part
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    code, _, err = mistral(capfd, "remove", "owner/model", "--yes")
    assert code == 1
    assert f"a link out of the hub's cache, to {tmp_path / 'elsewhere'}" in err
    assert any((tmp_path / "elsewhere").iterdir())


def test_a_folder_of_one_s_own_is_refused_with_the_reason(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = mistral(capfd, "remove", str(tmp_path), "--yes")
    assert code == 2
    assert "is a folder of yours, outside the hub's cache" in err
    assert tmp_path.is_dir()


@pytest.mark.parametrize(("name", "code"), [("builtin", 2), ("../../x", 2), ("owner/modal", 3), ("nemo", 3)])
def test_what_cannot_be_removed_is_said_before_anything_is(
    capfd: pytest.CaptureFixture[str], name: str, code: int
) -> None:
    cache_model()
    assert mistral(capfd, "remove", "owner/model", name, "--yes").code == code
    assert is_cached("owner/model")


def test_the_closest_name_is_suggested(capfd: pytest.CaptureFixture[str]) -> None:
    cache_model()
    assert "Did you mean owner/model?" in mistral(capfd, "remove", "owner/modal", "--yes").err


def test_a_file_that_a_program_has_mapped_stays_valid_for_it_and_that_is_said(
    capfd: pytest.CaptureFixture[str],
) -> None:
    snapshot = cache_model()
    with (
        (snapshot / "model.safetensors").open("rb") as file,
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped,
    ):
        err = mistral(capfd, "remove", "owner/model", "--yes").err
        assert mapped[:] == WEIGHTS
    assert "A program that is running has it mapped" in err


def test_that_it_was_the_default_is_said(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cache_model()
    monkeypatch.setenv("MISTRAL_CLI_MODEL", "owner/model")
    assert "owner/model was the default: mistral use MODEL" in mistral(capfd, "remove", "owner/model", "--yes").err


def test_the_object_holds_what_went(capfd: pytest.CaptureFixture[str]) -> None:
    keep_copy(cache_model())
    (copy,) = copies()
    nbytes = copy.stat().st_size
    shown = json.loads(mistral(capfd, "remove", "owner/model", "--yes", "--json").out)
    assert shown == {
        "removed": [{"name": "owner/model", "revision": None, "bytes": 5025}],
        "copies": [copy.stem],
        "bytes": 5025 + nbytes,
        "in_use": False,
    }


@pytest.mark.pty
@pytest.mark.parametrize(
    ("answers", "code", "is_left"), [("ny", 1, (True, 1)), ("yn", 0, (False, 1)), ("yy", 0, (False, 0))]
)
def test_on_a_terminal_it_asks_for_the_model_and_then_for_the_copies(
    answers: str, code: int, is_left: tuple[bool, int]
) -> None:
    keep_copy(cache_model())
    child = pexpect.spawn(sys.executable, ["-m", "mistral_cli", "remove", "owner/model"], encoding="utf-8", timeout=120)
    child.expect(r"Remove owner/model \(5\.03 kB\) for good\? \[y/N\] ")
    child.send(f"{answers[0]}\r")
    if answers[0] == "y":
        child.expect(r"And the quantized copies, of no use without it \(nf4: .* kB\)\? \[y/N\] ")
        child.send(f"{answers[1]}\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code
    assert (is_cached("owner/model"), len(copies())) == is_left


def test_it_starts_without_large_libraries() -> None:
    cache_model()
    program = (
        "import sys; sys.argv = ['mistral', 'remove', 'owner/model', '--yes']\n"
        "from mistral_cli.cli import main\n"
        "try: main()\n"
        "finally: print({'torch', 'huggingface_hub', 'numpy'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout == "owner/model\nset()\n"
