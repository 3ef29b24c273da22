"""A program's start is timed to its first byte, and its memory is counted without the files that it maps."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from mistral_cli.errors import MistralError
from mistral_cli.measure.starts import own_memory, time_start

if TYPE_CHECKING:
    from pathlib import Path


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", "-c", textwrap.dedent(program), *arguments]


def test_the_time_ends_with_the_first_byte_and_the_output_is_whole() -> None:
    program = """
        import sys, time
        print("first", flush=True)
        time.sleep(1)
        print("last")
    """
    start = time_start(python(program))
    assert 0 < start.seconds < 1
    assert start.output == b"first\nlast\n"


def test_what_a_program_takes_for_itself_is_counted_at_its_highest() -> None:
    program = """
        import time
        taken = bytearray(2**27)
        time.sleep(0.3)
        del taken
        print()
    """
    assert 2**27 < time_start(python(program)).own_memory < 2**27 + 2**25


def test_the_pages_of_a_file_that_a_program_maps_are_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(bytes(2**27))
    program = """
        import mmap, sys, time
        with open(sys.argv[1], "rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        sum(content[::4096])
        time.sleep(0.3)
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
