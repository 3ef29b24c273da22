"""Where our own files live, and for whom they are made."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mistral_cli.settings.places import open_private, places, private_folder


def test_one_variable_moves_all_four_places() -> None:
    found = places({"MISTRAL_CLI_HOME": "/somewhere"})
    home = Path("/somewhere")
    assert (found.config, found.data, found.state, found.cache) == (home, home, home, home / "cache")


def test_without_it_each_xdg_place_is_its_own(monkeypatch) -> None:
    for kind in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", f"/xdg/{kind}")
    found = places({})
    assert found.config == Path("/xdg/CONFIG/mistral-cli")
    assert found.data == Path("/xdg/DATA/mistral-cli")
    assert found.state == Path("/xdg/STATE/mistral-cli")
    assert found.cache == Path("/xdg/CACHE/mistral-cli")


def test_folders_and_files_are_for_the_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private_folder(tmp_path / "a" / "b")
        os.close(open_private(tmp_path / "c" / "file", os.O_WRONLY))
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "c", "c/file")}
    assert modes == {"a": 0o700, "a/b": 0o700, "c": 0o700, "c/file": 0o600}
