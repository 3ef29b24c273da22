"""A program's start is timed to its first byte, and its memory is counted without the files that it maps."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

from mistral_cli.errors import MistralError
from mistral_cli.measure.starts import own_memory, time_start

if TYPE_CHECKING:
    from pathlib import Path


BE_LOOKED_AT = """
import os, pathlib, time

def wakes():
    lines = pathlib.Path(f"/proc/{os.getppid()}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("voluntary_ctxt_switches")))

def be_looked_at():
    before = wakes()
    while wakes() < before + 3:  # whoever times this program wakes for each look
        time.sleep(0.001)
"""


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", "-c", BE_LOOKED_AT + textwrap.dedent(program), *arguments]


def test_the_time_ends_with_the_first_byte_and_the_output_is_whole(tmp_path: Path) -> None:
    program = """
        import fcntl, pathlib, sys, termios, time
        print("first", flush=True)
        while fcntl.ioctl(1, termios.FIONREAD, bytes(4)) != bytes(4):  # it was not read yet
            pass
        pathlib.Path(sys.argv[1]).write_text(str(time.perf_counter()))  # of the whole system, on Linux
        print("last")
    """
    begun = time.perf_counter()
    start = time_start(python(program, str(tmp_path / "when")))
    assert 0 < start.seconds < float((tmp_path / "when").read_text()) - begun
    assert start.output == b"first\nlast\n"


def test_what_a_program_takes_for_itself_is_counted_at_its_highest() -> None:
    program = """
        taken = bytearray(2**27)
        be_looked_at()
        del taken
        print()
    """
    assert 2**27 < time_start(python(program)).own_memory < 2**27 + 2**25


def test_the_pages_of_a_file_that_a_program_maps_are_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(bytes(2**27))
    program = """
        import mmap, sys
        with open(sys.argv[1], "rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        sum(content[::4096])
        be_looked_at()
        print()
    """
    assert time_start(python(program, str(tmp_path / "weights"))).own_memory < 2**25


def test_a_program_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(MistralError, match=r"python[\d.]* ended with 1: ZeroDivisionError"):
        time_start(python("1 / 0"))


def test_a_program_whose_caller_is_stopped_does_not_live_on(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def interrupted(pid: int) -> int:
        raise KeyboardInterrupt

    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(start(*a, **k)) or started[-1])
    monkeypatch.setattr("mistral_cli.measure.starts.own_memory", interrupted)
    with pytest.raises(KeyboardInterrupt):
        time_start(python("import time; time.sleep(100)"))
    assert started[0].returncode is not None


def test_this_process_has_memory_of_its_own() -> None:
    assert own_memory() > 2**20
    assert own_memory(2**30) == 0
