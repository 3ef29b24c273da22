"""``mistral chat --script`` as a shell sees it: stopped, in pipes, on full disks, in odd places."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from processes import DEADLINE, environment, fake, read_until, run

from mistral_cli.chat.store import open_to_read

LINES = "one\n/stats\ntwo\n"


@pytest.fixture
def script(tmp_path: Path) -> str:
    (tmp_path / "script").write_text(LINES)
    return str(tmp_path / "script")


def _kept() -> list[tuple[str, str, str]]:
    _, conversation = open_to_read(Path(os.environ["MISTRAL_CLI_HOME"]) / "chats.db").load("last")
    return [(turn.question, turn.answer, turn.reason) for turn in conversation.path()]


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_a_script_and_what_was_said_is_kept(script: str, name: str, code: int) -> None:
    command = fake("chat", flags={"script": script}, answers=["First.", "One two three."], stops=[[2, 2]])
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        read_until(process.stdout.fileno(), b"One two ")
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == code
    assert b"Traceback" not in err
    assert _kept() == [("one", "First.", "stop"), ("two", "One two ", "cancelled")]


def test_a_closed_pipe_ends_a_script_with_141(script: str) -> None:
    command = fake("chat", flags={"script": script}, answers=["line\n " * 5000], context=20_000)
    shell = run(["bash", "-c", '"$@" | head -1 >/dev/null; exit ${PIPESTATUS[0]}', "bash", *command])
    assert shell.returncode == 141
    assert b"Exception ignored" not in shell.stderr


def test_a_full_disk_behind_stdout_is_said(script: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(fake("chat", flags={"script": script}), stdout=full)
    assert done.returncode == 1
    assert done.stderr.endswith(b"error: No space left on device.\n")


def run_with_files_up_to(most: int, command: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Run where no file grows beyond so many KiB.

    Of what others write there, they leave parts: Python of the modules that it compiles, coverage of what it counted.
    """
    limited = ["bash", "-c", 'ulimit -f "$0"; exec "$@"', str(most), *command]
    return run(limited, env=environment(PYTHONDONTWRITEBYTECODE="1", COVERAGE_PROCESS_CONFIG=None))


def test_where_the_store_finds_no_room_the_chat_goes_on_and_can_be_exported(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(f"one\ntwo\n/export {tmp_path}/talk.md\n/write {tmp_path}/large.txt\n")
    command = fake("chat", flags={"script": str(tmp_path / "script")}, answers=["First.", "x" * 9000], context=20_000)
    shell = run_with_files_up_to(12, command)
    assert shell.stdout == b"First.\n" + b"x" * 9000 + b"\n"
    assert shell.stderr.count(b"The chat goes on, but is not kept.") == 1
    assert shell.stderr.count(b"warning: ") == 1
    assert (tmp_path / "talk.md").read_text() == "> one\n\nFirst.\n\n> two\n\n" + "x" * 9000 + "\n"


def test_an_export_that_finds_no_room_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "talk.md").write_text("old")
    (tmp_path / "script").write_text(f"one\n/export! {tmp_path}/talk.md\n")
    answer = "words " * 2000
    command = fake("chat", flags={"script": str(tmp_path / "script"), "store": False}, answers=[answer], context=9000)
    shell = run_with_files_up_to(4, command)
    assert shell.returncode == 1
    assert b"talk.md cannot be written: File too large. Name another place." in shell.stderr
    assert (tmp_path / "talk.md").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["script", "talk.md"]


@pytest.mark.parametrize(
    "changes",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONOPTIMIZE": "1"},
        {"TERM": None, "HOME": "/proc/nowhere"},
    ],
)
def test_locale_encoding_and_optimisation_do_not_change_a_chat(tmp_path: Path, changes: dict) -> None:
    (tmp_path / "script").write_text("é😀\n/retry\n/branches\n", encoding="utf-8")
    done = run(fake("chat", flags={"script": str(tmp_path / "script")}, answers=["é😀"]), env=environment(**changes))
    assert done.returncode == 0
    answered = "é😀\né😀\n"
    assert done.stdout.decode().startswith(answered)
    assert "* 2" in done.stdout.decode()
    assert _kept() == [("é😀", "é😀", "stop")]


@pytest.mark.parametrize("name", ["../../x", "CON", "x" * 300, "-rf", "a/b", "last"])
def test_a_chat_cannot_be_called_what_no_file_can(tmp_path: Path, name: str) -> None:
    (tmp_path / "script").write_text(f"one\n/save {name}\n")
    (deep := tmp_path / "a" / "b").mkdir(parents=True)
    done = run(fake("chat", flags={"script": str(tmp_path / "script")}), cwd=deep)
    assert done.returncode == 2
    assert b"cannot be the name of a chat" in done.stderr
    assert _kept() == [("one", "Hello there, friend.", "stop")]
    assert not list(deep.iterdir())
    assert not [*tmp_path.glob("x*"), *Path(os.environ["MISTRAL_CLI_HOME"]).parents[1].glob("x")]
