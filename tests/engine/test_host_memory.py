"""Free memory, read from made-up control groups of both versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.engine import host_memory
from mistral_cli.engine.host_memory import cgroup_free, host_free

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def membership(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cgroup"
    path.write_text(text)
    return path


def test_a_version_2_limit_leaves_what_is_not_used(tmp_path: Path) -> None:
    write(tmp_path / "root/app", memory__max="1000\n", memory__current="300\n", memory__stat="anon 200\n")
    assert cgroup_free(tmp_path / "root", membership(tmp_path, "0::/app\n")) == [700]


def test_cached_files_of_a_group_count_as_free(tmp_path: Path) -> None:
    stat = "anon 200\ninactive_file 60\nactive_file 40\n"
    write(tmp_path / "root/app", memory__max="1000\n", memory__current="300\n", memory__stat=stat)
    assert cgroup_free(tmp_path / "root", membership(tmp_path, "0::/app\n")) == [800]


def test_a_version_1_limit_counts_the_cache_of_children(tmp_path: Path) -> None:
    stat = "inactive_file 1\ntotal_inactive_file 50\ntotal_active_file 0\n"
    folder = tmp_path / "root/memory/app"
    write(folder, memory__limit_in_bytes="1000\n", memory__usage_in_bytes="300\n", memory__stat=stat)
    assert cgroup_free(tmp_path / "root", membership(tmp_path, "5:cpu:/\n4:memory:/app\n")) == [750]


def test_the_limits_of_the_groups_around_count_too(tmp_path: Path) -> None:
    write(tmp_path / "root/outer/inner", memory__max="1000\n", memory__current="0\n")
    write(tmp_path / "root/outer", memory__max="500\n", memory__current="100\n")
    assert cgroup_free(tmp_path / "root", membership(tmp_path, "0::/outer/inner\n")) == [1000, 400]


def test_a_path_seen_from_the_host_falls_back_to_the_root_of_the_mount(tmp_path: Path) -> None:
    write(tmp_path / "root", memory__max="900\n", memory__current="100\n")
    assert cgroup_free(tmp_path / "root", membership(tmp_path, "0::/docker/0123\n")) == [800]


def test_no_limit_says_nothing(tmp_path: Path) -> None:
    write(tmp_path / "root/app", memory__max="max\n", memory__current="300\n")
    assert cgroup_free(tmp_path / "root", membership(tmp_path, "0::/app\n")) == []


def test_a_group_above_its_limit_has_nothing_free(tmp_path: Path) -> None:
    write(tmp_path / "root/app", memory__max="100\n", memory__current="300\n")
    assert cgroup_free(tmp_path / "root", membership(tmp_path, "0::/app\n")) == [0]


def test_a_machine_without_control_groups_has_no_such_limit(tmp_path: Path) -> None:
    assert cgroup_free(tmp_path / "root", tmp_path / "missing") == []


def test_the_least_of_machine_and_groups_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "root", memory__max="900\n", memory__current="100\n")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable: 2 kB\n")
    monkeypatch.setattr(host_memory, "CGROUPS", tmp_path / "root")
    monkeypatch.setattr(host_memory, "MEMBERSHIP", membership(tmp_path, "0::/\n"))
    monkeypatch.setattr(host_memory, "MEMINFO", tmp_path / "meminfo")
    assert host_free() == 800
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemFree: 0 kB\nMemAvailable: 0 kB\nHugePages_Total: 0\n")
    assert host_free() == 0


def test_this_machine_has_some_memory_free() -> None:
    assert 0 < host_free() < 2**50


def test_without_proc_all_the_memory_there_is_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    available = host_free()
    monkeypatch.setattr(host_memory, "MEMINFO", tmp_path / "missing")
    monkeypatch.setattr(host_memory, "MEMBERSHIP", tmp_path / "missing")
    assert host_free() > available
