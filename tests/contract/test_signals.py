"""Ctrl-C, SIGTERM and SIGHUP from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from processes import DEADLINE, fake, read_until, run

from tiny_models import write_tiny_model

if TYPE_CHECKING:
    from pathlib import Path


def _answering(tmp_path: Path, **flags) -> subprocess.Popen[bytes]:
    """Start a program that has said its first word and computes the second."""
    command = fake(flags={"prompt": "P", **flags}, gate=str(tmp_path / "gate"))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if "output" not in flags:
        read_until(process.stdout.fileno(), b"Hello ")
    return process


def test_ctrl_c_prints_the_partial_answer_and_ends_with_130(tmp_path: Path) -> None:
    with _answering(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (130, b"\n", b"(stopped)\n")


def test_ctrl_c_while_the_program_is_still_imported_ends_it_without_a_word() -> None:
    script = """
import os, signal, sys

class PressCtrlC:
    def find_spec(name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, PressCtrlC)
from mistral_cli.__main__ import main
main()
"""
    done = run([sys.executable, "-c", script, "--help"])
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_little_is_imported_before_ctrl_c_is_settled() -> None:
    script = """
import sys

class Listed:
    def find_spec(name, path=None, target=None):
        print(name)

sys.modules.pop("typing", None)
sys.meta_path.insert(0, Listed)
import mistral_cli.__main__
"""
    done = run([sys.executable, "-c", script])
    assert b"mistral_cli.__main__" in done.stdout.split()
    assert b"typing" not in done.stdout.split()


def test_being_told_to_end_is_obeyed_even_where_a_library_swallows_it(tmp_path: Path) -> None:
    script = """
import contextlib, os, signal, sys

class Swallow:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            with contextlib.suppress(BaseException):
                os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Swallow)
from mistral_cli.__main__ import main
main()
"""
    done = run([sys.executable, "-c", script, "gen", "-m", str(write_tiny_model(tmp_path)), "hello"])
    assert (done.returncode, done.stdout, done.stderr) == (143, b"", b"")


@pytest.mark.parametrize("flags", [{}, {"lines": True}])
def test_ctrl_c_while_reading_stdin_ends_with_130_and_no_traceback(flags: dict) -> None:
    command = fake(flags=flags)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        read_until(process.stderr.fileno(), b"--no-stdin")
        process.send_signal(signal.SIGINT)
        out, err = process.stdout.read(), process.stderr.read()
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_being_told_to_end_is_obeyed_without_a_word(tmp_path: Path, name: str, code: int) -> None:
    with _answering(tmp_path) as process:
        process.send_signal(getattr(signal, name))
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (code, b"\n", b"")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_cut_answer_lies_in_a_partial_file(tmp_path: Path, name: str, code: int) -> None:
    with _answering(tmp_path, output=str(tmp_path / "a.txt"), stats=True) as process:
        while not any(path.stat().st_size for path in tmp_path.glob(".a.txt.*")):
            assert process.poll() is None
        process.send_signal(getattr(signal, name))
        process.communicate(timeout=DEADLINE)
    assert process.returncode == code
    assert (tmp_path / "a.txt.partial").read_bytes() == b"Hello \n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt.partial"]


def test_a_background_job_that_ignores_ctrl_c_goes_on(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    shell = ["bash", "-c", 'trap "" INT; exec "$@"', "bash", *fake(gate=str(gate))]
    with subprocess.Popen(shell, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        read_until(process.stdout.fileno(), b"Hello ")
        process.send_signal(signal.SIGINT)
        gate.touch()
        out, _ = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (0, b"there, friend.\n")
