"""The folder of kept caches: what is written whole is found, and nothing else is ever trusted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mistral_cli.engine.kv_file import About, DamagedError, Writer, digest, read_kept, read_part
from mistral_cli.engine.kv_store import KVStore

if TYPE_CHECKING:
    from pathlib import Path

ABOUT = About(
    origin=digest("a model"),
    chat="7@2026",
    model="mistralai/Mistral-7B",
    form="bfloat16",
    files=(),
    tokens=3,
    firsts=(0, 0),
)
BODY = bytes(range(200)) * 5


def add(writer: Writer) -> None:
    writer.add("I8", (2, 500), [memoryview(BODY[:500]), memoryview(BODY[500:])])


def keep(store: KVStore, about: About = ABOUT, ids: tuple[int, ...] = (5, 6, 70_000)) -> Path:
    return store.write(about, ids, len(BODY), add, lambda: None)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> KVStore:
    return KVStore(folder=tmp_path / "cache" / "chats", limit=10**6, notice=said.append)


def test_what_is_kept_is_found_again_byte_for_byte(store: KVStore) -> None:
    path = keep(store)
    (found,) = store.of_origin(ABOUT.origin)
    assert (found.path, found.about, found.ids()) == (path, ABOUT, [5, 6, 70_000])
    with path.open("rb", buffering=0) as file:
        assert [read_part(file, part) for part in found.parts[1:]] == [BODY]
    assert found.nbytes == path.stat().st_size < len(BODY) + 1000


def test_files_and_folders_are_the_users_alone(store: KVStore) -> None:
    path = keep(store)
    assert [part.stat().st_mode & 0o777 for part in (path, store.folder, store.folder.parent)] == [0o600, 0o700, 0o700]


def test_what_another_model_computed_is_not_found(store: KVStore) -> None:
    keep(store)
    other = digest("another model")
    assert store.of_origin(other) == []
    assert store.of_origin(ABOUT.origin[:12] + other[12:]) == []  # the same digits in the name


def test_a_chat_has_one_cache_of_each_model(store: KVStore) -> None:
    keep(store)
    newer, other = keep(store, ids=(5, 6, 7)), keep(store, replace(ABOUT, origin=digest("another model")))
    assert {entry.kept.path for entry in store.entries()} == {newer, other}


@pytest.mark.parametrize("kept", [0, 10, 64, 300, -1])
def test_a_truncated_file_is_removed_and_said(store: KVStore, said: list[str], kept: int) -> None:
    path = keep(store)
    os.truncate(path, kept if kept >= 0 else path.stat().st_size - 1)
    assert store.of_origin(ABOUT.origin) == []
    assert not path.exists()
    assert said == [f"Removed {path.name}: it is cut short. It is no cache that could be gone on from."]


@pytest.mark.parametrize(("at", "reason"), [(3, "no kept cache"), (50, "header"), (-20, "header")])
def test_a_file_with_a_flipped_bit_in_its_head_is_removed(
    store: KVStore, said: list[str], at: int, reason: str
) -> None:
    path = keep(store)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert store.entries() == []
    assert not path.exists()
    assert reason in said[0]


@pytest.mark.parametrize("at", [64, 64 + 12, 64 + 12 + 999])
def test_a_flipped_bit_in_the_numbers_is_found_when_they_are_read(store: KVStore, at: int) -> None:
    path = keep(store)
    content = bytearray(path.read_bytes())
    content[at] ^= 16
    path.write_bytes(content)
    found = read_kept(path)
    with path.open("rb", buffering=0) as file, pytest.raises(DamagedError, match="checksum"):
        _ = [read_part(file, part) for part in found.parts]


def test_a_file_that_is_cut_short_while_it_is_read_is_damaged(store: KVStore) -> None:
    path = keep(store)
    found = read_kept(path)
    os.truncate(path, 100)
    with path.open("rb", buffering=0) as file, pytest.raises(DamagedError, match="cut short"):
        read_part(file, found.parts[1])


def test_a_foreign_file_is_removed_and_files_of_other_kinds_are_left(store: KVStore, said: list[str]) -> None:
    keep(store)
    foreign, other = store.folder / "mine.kv", store.folder / "notes.txt"
    foreign.write_bytes(b"x" * 500)
    other.write_text("notes")
    assert len(store.entries()) == 1
    assert (foreign.exists(), other.exists(), len(said)) == (False, True, 1)


def test_another_versions_file_is_removed(store: KVStore, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistral_cli.engine.kv_file.VERSION", 2)
    path = keep(store)
    monkeypatch.undo()
    assert store.entries() == []
    assert not path.exists()
    assert "another version" in said[0]


def test_the_one_used_least_recently_goes_first(store: KVStore) -> None:
    size = keep(store).stat().st_size
    small = replace(store, limit=3 * size + 100)
    paths = [keep(small, replace(ABOUT, chat=f"{number}")) for number in range(3)]
    for age, path in enumerate(paths):
        os.utime(path, (1000 - age, 1000 - age))
    (found,) = [kept for kept in small.of_origin(ABOUT.origin) if kept.path == paths[2]]
    small.note_use(found)
    new = keep(small, replace(ABOUT, chat="new"))
    assert {entry.kept.path for entry in small.entries()} == {paths[0], paths[2], new}


def test_one_that_is_larger_than_the_limit_is_refused_and_the_others_stay(store: KVStore) -> None:
    path = keep(store)
    with pytest.raises(OSError, match=r"1,000 bytes are more than keep_cache_limit allows \(999\)"):
        keep(replace(store, limit=999), replace(ABOUT, chat="8"))
    assert [entry.kept.path for entry in store.entries()] == [path]


def test_what_is_given_up_half_way_leaves_nothing(store: KVStore) -> None:
    checks = iter([None, None])

    def check() -> None:
        if next(checks, 1):
            raise TimeoutError("it took too long")

    with pytest.raises(TimeoutError):
        store.write(ABOUT, (5, 6, 7), len(BODY), add, check)
    assert list(store.folder.iterdir()) == []


_WRITER = """
import sys, json
from pathlib import Path
from mistral_cli.engine.kv_file import About
from mistral_cli.engine.kv_store import KVStore
def add(writer):
    writer.add("I8", (1000,), [memoryview(bytes(1000))])
    print("half", flush=True)
    sys.stdin.read()
about = About(**json.loads(sys.argv[2]))
KVStore(folder=Path(sys.argv[1]), limit=10**6).write(about, (5, 6, 7), 1000, add, lambda: None)
"""


def test_a_writer_that_is_killed_leaves_no_cache_and_the_next_one_sweeps_up(store: KVStore) -> None:
    fields = {name: getattr(ABOUT, name) for name in ABOUT.__slots__}
    command = [sys.executable, "-c", _WRITER, str(store.folder), json.dumps(fields)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
        (left,) = store.folder.iterdir()
        assert store.sweep() == 0  # it is being written
        assert keep(store, replace(ABOUT, chat="another")).exists()  # and another process may write meanwhile
        writer.send_signal(signal.SIGKILL)
    assert left.exists()
    assert len(store.entries()) == 1
    keep(store)
    assert not left.exists()
    assert len(list(store.folder.iterdir())) == 2


def test_a_chat_that_is_forgotten_takes_all_its_caches_along_damaged_ones_too(store: KVStore) -> None:
    gone = [keep(store), keep(store, replace(ABOUT, origin=digest("another model")))]
    os.truncate(gone[1], 10)
    stays = keep(store, replace(ABOUT, chat="8@2026"))
    store.forget(ABOUT.chat)
    assert list(store.folder.iterdir()) == [stays]


def test_the_name_tells_nothing_that_was_said(store: KVStore) -> None:
    assert keep(store).name.startswith("Mistral-7B-")
    assert ABOUT.chat not in keep(store).name


def test_a_cache_whose_model_is_gone_is_listed_as_of_no_use(store: KVStore, tmp_path: Path) -> None:
    keep(store, replace(ABOUT, files=(str(tmp_path / "gone.safetensors"),)))
    (entry,) = store.entries()
    assert entry.problem == f"the model is gone: {tmp_path / 'gone.safetensors'}"


def test_a_folder_that_is_not_there_holds_nothing(store: KVStore) -> None:
    store.forget("7@2026")
    assert (store.entries(), store.of_origin(ABOUT.origin), store.sweep()) == ([], [], 0)
