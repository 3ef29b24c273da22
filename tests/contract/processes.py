"""Starts the program in a process of its own, as a shell would; conditions are waited for with a deadline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pexpect

PROGRAM = [sys.executable, str(Path(__file__).with_name("program.py"))]
MISTRAL = [sys.executable, "-m", "mistral_cli"]
DEADLINE = 240.0
"""Seconds: what takes three here takes a minute where twenty others compute."""


def fake(command: str = "gen", *, flags: dict | None = None, **spec) -> list[str]:
    """Return the command line of the fake program."""
    given = {"prompt": "P"} if flags is None and command == "gen" else flags or {}
    return [*PROGRAM, json.dumps({"command": command, "flags": given, **spec})]


def environment(**changes: str | None) -> dict[str, str]:
    """Return this process's environment with ``changes``; None removes."""
    merged = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def run(command: list[str], **options) -> subprocess.CompletedProcess[bytes]:
    """Run to the end; stdin is empty unless given."""
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.run(command, check=False, timeout=DEADLINE, **options)


def wait_until(is_true: Callable[[], bool], tell: Callable[[], str] = lambda: "the condition never came true") -> None:
    """Wait for a condition; where it never comes true, ``tell`` how things are instead."""
    until = time.monotonic() + DEADLINE
    while not is_true():
        assert time.monotonic() < until, tell()
        time.sleep(0.005)


def kill(child: pexpect.spawn) -> None:
    """End what runs in a pseudo-terminal, if it still does: pexpect gives up after half a second of asking."""
    child.kill(signal.SIGKILL)
    child.wait()
    child.close()


def read_until(descriptor: int, what: bytes) -> bytes:
    """Read from a pipe or terminal until ``what`` has come."""
    data = b""
    while what not in data:
        piece = os.read(descriptor, 4096)
        assert piece, f"the stream ended after {data!r}"
        data += piece
    return data
