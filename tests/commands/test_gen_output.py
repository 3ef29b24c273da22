"""A file that is whole or not there."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from gen_runs import ask

from fakes import FakeBackend, fake_console
from mistral_cli.errors import MistralError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def _cut_by_ctrl_c(answers: list[str], at: int = 1) -> FakeBackend:
    backend = FakeBackend(answers=answers)
    backend.before_piece = lambda number, _cancel: os.kill(os.getpid(), signal.SIGINT) if number == at else None
    return backend


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_holds_what_stdout_would_and_stdout_holds_nothing(tmp_path: Path) -> None:
    run = ask(prompt="P", output=str(tmp_path / "a.txt"))
    assert (tmp_path / "a.txt").read_text() == "Hello there, friend.\n"
    assert (run.code, run.out) == (0, "")
    assert _names(tmp_path) == ["a.txt"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    seen = []
    backend = FakeBackend()
    backend.before_piece = lambda *_: seen.append(path.read_text())
    ask(prompt="P", output=str(path), backend=backend)
    assert seen == ["old"] * 3
    assert path.read_text() == "Hello there, friend.\n"


def test_ctrl_c_leaves_a_partial_file_and_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    run = ask(prompt="P", output=str(path), backend=_cut_by_ctrl_c(["One two three"]))
    assert run.code == 130
    assert path.read_text() == "old"
    assert (tmp_path / "a.txt.partial").read_text() == "One \n"
    assert "a.txt.partial" in run.err
    assert _names(tmp_path) == ["a.txt", "a.txt.partial"]


def test_an_error_in_the_middle_leaves_what_there_was(tmp_path: Path) -> None:
    backend = FakeBackend(error=MistralError("NaN."), fails_after=1)
    with pytest.raises(MistralError, match="NaN"):
        ask(prompt="P", output=str(tmp_path / "a.txt"), backend=backend)
    assert _names(tmp_path) == ["a.txt.partial"]


def test_an_error_before_the_first_word_leaves_nothing(tmp_path: Path) -> None:
    backend = FakeBackend(error=MistralError("NaN."), fails_after=0)
    with pytest.raises(MistralError, match="NaN"):
        ask(prompt="P", output=str(tmp_path / "a.txt"), backend=backend)
    assert _names(tmp_path) == []


def test_ctrl_c_before_the_first_word_leaves_nothing(tmp_path: Path) -> None:
    backend = _cut_by_ctrl_c(["One two"], at=0)
    assert ask(prompt="P", output=str(tmp_path / "a.txt"), backend=backend).code == 130
    assert _names(tmp_path) == []


def test_json_and_code_blocks_go_into_the_file_too(tmp_path: Path) -> None:
    ask(prompt="P", output=str(tmp_path / "a.json"), json=True)
    assert json.loads((tmp_path / "a.json").read_text())["text"] == "Hello there, friend."
    backend = FakeBackend(answers=["```\nx\n```"])
    ask(prompt="P", output=str(tmp_path / "a.py"), extract=True, backend=backend)
    assert (tmp_path / "a.py").read_text() == "x\n"


def test_markdown_in_a_file_is_what_the_model_said(tmp_path: Path) -> None:
    ask(
        prompt="P",
        output=str(tmp_path / "a.md"),
        markdown=True,
        backend=FakeBackend(answers=["# a"]),
        console=fake_console(terminal=True),
    )
    assert (tmp_path / "a.md").read_text() == "# a\n"


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_stdout_may_be_named(name: str) -> None:
    assert ask(prompt="P", output=name).out == "Hello there, friend.\n"


def test_a_file_that_somebody_else_opened_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    with (tmp_path / "log").open("rb") as log:
        ask(prompt="P", output=f"/dev/fd/{log.fileno()}")
        assert log.read() == b"Hello there, friend.\n"


def test_a_new_file_has_the_mode_the_user_s_umask_gives_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        ask(prompt="P", output=str(tmp_path / "new"))
        (tmp_path / "old").touch()
        (tmp_path / "old").chmod(0o604)
        ask(prompt="P", output=str(tmp_path / "old"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o604


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/file")
    ask(prompt="P", output=str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert _names(tmp_path / "real") == ["file"]


def test_a_fifo_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    ask(prompt="P", output=str(path))
    reader.join(300)
    assert read == [b"Hello there, friend.\n"]
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize(("name", "why"), [("", "folder"), ("none/a", "No such file"), ("x" * 300, "too long")])
def test_a_place_where_no_file_can_be_is_refused_before_anything_is_loaded(tmp_path: Path, name: str, why: str) -> None:
    backend = FakeBackend()
    with pytest.raises(UsageError, match=f"--output: .* cannot be written: .*{why}"):
        ask(prompt="P", output=f"{tmp_path}/{name}", backend=backend)
    assert backend.prompts == []
