"""Another program at our terminal: what it is given, how it ends, and what is said where it cannot be run."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from chats import err, typed

from fakes import FakeBackend
from mistral_cli.errors import MistralError
from mistral_cli.ui.editor import edit
from mistral_cli.ui.in_front import run_in_front

if TYPE_CHECKING:
    from pathlib import Path


def test_a_program_reads_what_it_is_given_and_its_code_comes_back() -> None:
    assert run_in_front(["sh", "-c", "test $(cat) = text && exit 3"], data=b"text") == 3
    assert run_in_front(["sh", "-c", "kill -TERM $$"]) == -signal.SIGTERM


@pytest.mark.parametrize("command", [["/nowhere/program"], ["sh", "-c", "a\0b"], ["sh", "-c", "x" * 3_000_000]])
def test_what_cannot_be_run_is_an_error_of_the_system(command: list[str]) -> None:
    with pytest.raises(OSError, match=r"."):
        run_in_front(command)


def test_a_shell_that_is_not_there_and_a_command_that_was_killed_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    repl = typed("one", "/pipe kill -KILL $$", backend=FakeBackend())
    assert "error: The command ended with signal 9, Killed: kill -KILL $$" in err(repl)
    monkeypatch.setenv("SHELL", "/nowhere/shell")
    repl = typed("one", "/pipe cat", "two", backend=FakeBackend())
    assert "error: /nowhere/shell cannot run the command: No such file or directory." in err(repl)
    assert len(repl.conversation.path()) == 2


@pytest.mark.parametrize("script", ['rm "$1"', 'rm "$1"; mkdir "$1"'])
def test_an_editor_that_leaves_no_file_is_said(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\n{script}\n")
    editor.chmod(0o700)
    monkeypatch.setenv("VISUAL", str(editor))
    with pytest.raises(MistralError, match=r"The text for the editor cannot be kept in a file: "):
        edit("text")


def test_where_the_text_finds_no_place_the_editor_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", f"touch {tmp_path}/was-run")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(MistralError, match=r"No such file or directory\. TMPDIR names the folder\."):
        edit("text")
    assert not (tmp_path / "was-run").exists()
