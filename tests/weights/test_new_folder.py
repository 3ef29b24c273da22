"""A folder that is made whole: what a killed process leaves beside it is swept up, or put back."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mistral_cli.errors import MistralError
from mistral_cli.weights.new_folder import check_target, written_beside

if TYPE_CHECKING:
    from pathlib import Path

_WRITER = """
import os, sys
from pathlib import Path
from mistral_cli.weights import new_folder
target = Path(sys.argv[1])
if sys.argv[2] == "between":  # killed when the old folder has made room and the new one has not come yet
    rename = Path.rename
    def hang(self, to):
        if to == target.absolute():
            wait()
        return rename(self, to)
    Path.rename = hang
def wait():
    print("half", flush=True)
    sys.stdin.read()
with new_folder.written_beside(target) as folder:
    (folder / "weights").write_text("new")
    if sys.argv[2] == "writing":
        wait()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("moment", ["writing", "between"])
def test_what_a_killed_process_leaves_is_swept_up_or_put_back(moment: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "model[1]"
    for folder in (source, target):
        folder.mkdir()
        (folder / "config.json").write_text(folder.name)
    command = [sys.executable, "-c", _WRITER, str(target), moment]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
        alive = names(tmp_path)
        check_target(source, target, force=True)
        assert names(tmp_path) == alive  # what is being written stays
        writer.send_signal(signal.SIGKILL)
    assert names(tmp_path) == alive
    check_target(source, target, force=True)
    assert names(tmp_path) == ["model[1]", "source"]
    assert (target / "config.json").read_text() == "model[1]"


def test_what_another_folder_left_stays(tmp_path: Path) -> None:
    (tmp_path / ".other.12.partial").mkdir()
    (tmp_path / ".other.12.partial" / "weights").touch()
    (tmp_path / ".model.notes.partial").mkdir()
    check_target(tmp_path, tmp_path / "model", force=False)
    assert names(tmp_path) == [".model.notes.partial", ".other.12.partial"]


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with written_beside(target) as folder:
        (folder / "weights").write_text("first")
        assert names(tmp_path) == [folder.name]
    for error, seen in ((OSError(28, "No space left"), MistralError), (KeyboardInterrupt(), KeyboardInterrupt)):
        with pytest.raises(seen), written_beside(target):
            raise error
    assert names(tmp_path) == ["model"]
    assert (target / "weights").read_text() == "first"
