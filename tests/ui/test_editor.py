"""The user's own editor: which it is, what comes back, and what is said where it fails."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from chats import err
from typist import CTRL, ENTER, typist

from mistral_cli.errors import MistralError, UsageError
from mistral_cli.ui.editor import edit

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_visual_comes_before_editor_and_arguments_are_passed(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", program(programs, "one", 'echo one >> "$1"'))
    assert edit("text\n") == "text\none"
    monkeypatch.setenv("VISUAL", program(programs, "two", 'echo "$1" > "$2"') + " 'an argument'")
    assert edit("text") == "an argument"


def test_the_usual_editor_is_taken_where_none_is_named(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(programs, "vi", 'echo vi > "$1"')
    monkeypatch.setenv("VISUAL", " ")
    assert edit("") == "vi"
    program(programs, "editor", 'echo editor > "$1"')
    assert edit("") == "editor"


def test_it_is_said_where_there_is_no_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"There is no editor here. Set EDITOR"):
        edit("")
    monkeypatch.setenv("EDITOR", "/nowhere/editor")
    with pytest.raises(UsageError, match=r"/nowhere/editor cannot be run"):
        edit("")
    monkeypatch.setenv("EDITOR", "vi 'unclosed")
    with pytest.raises(UsageError, match=r"EDITOR is .* no command"):
        edit("")


def test_an_editor_that_fails_changes_nothing(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", program(programs, "bad", 'echo x > "$1"; exit 3'))
    with pytest.raises(MistralError, match=r"failed \(3\), so nothing was done"):
        edit("text")


def test_ctrl_x_ctrl_e_edits_the_line(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", program(programs, "ed", 'printf "%s" "one\ntwo" > "$1"'))
    for keys in ("emacs", "vi"):
        with typist(keys=keys) as person:
            edited = lambda person: person.keyboard._session.default_buffer.text == "one\ntwo"  # noqa: E731
            assert person.type("draft", CTRL["X"] + CTRL["E"], edited, " three", ENTER) == "one\ntwo three"


def test_a_failing_editor_is_said_and_the_line_stays(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", program(programs, "bad", "exit 3"))
    with typist() as person:
        said = lambda person: "failed (3)" in err(person.chat)  # noqa: E731
        assert person.type("draft", CTRL["X"] + CTRL["E"], said, "!", ENTER) == "draft!"
