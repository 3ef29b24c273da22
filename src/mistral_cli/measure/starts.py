"""How long a program takes from its start to the first byte of its answer, and what memory it takes. Knows no model."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mistral_cli.errors import MistralError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

EVERY = 0.02
"""Seconds between two looks at a program's memory."""

OWN = ("RssAnon", "RssShmem")
"""What ``/proc/PID/status`` calls memory that is the program's own: not the pages of files that it maps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What one start took."""

    seconds: float
    """From the start of the process to the first byte on its stdout."""
    own_memory: int
    """The most bytes that were the program's own, files that it maps not counted; 0 where the system does not tell."""
    output: bytes
    mapped: frozenset[Path] = frozenset()
    """The files of weights that it had mapped when that byte came."""


def time_start(command: Sequence[str], environ: Mapping[str, str] | None = None) -> Start:
    """Run ``command`` to its end, with nothing on stdin.

    Raises:
        MistralError: it failed; the message holds the last line it wrote to stderr.
    """
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        with _running(command, environ, errors) as process:
            assert process.stdout is not None  # noqa: S101 (a pipe was asked for)
            peak = max(_until_first_byte(process))
            seconds = time.perf_counter() - started
            mapped = _mapped_weights(process.pid)
            output = process.stdout.read()
            peak = max(peak, own_memory(process.pid))
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            raise MistralError(f"{Path(command[0]).name} ended with {process.returncode}: {said[-1] if said else ''}")
    return Start(seconds=seconds, own_memory=peak, output=output, mapped=mapped)


@contextlib.contextmanager
def _running(
    command: Sequence[str], environ: Mapping[str, str] | None, errors: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program; whatever ends the block ends it, too."""
    process = subprocess.Popen(  # the caller's own command, not a shell's
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environ
    )
    try:
        yield process
        process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _until_first_byte(process: subprocess.Popen[bytes]) -> Iterator[int]:
    """Yield the program's own memory, again and again until it writes or ends, and once then."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout or -1, selectors.EVENT_READ)
        yield own_memory(process.pid)
        while not selector.select(EVERY):
            yield own_memory(process.pid)
    yield own_memory(process.pid)  # one that writes at once was looked at before it had begun


def _mapped_weights(pid: int) -> frozenset[Path]:
    """Return the safetensors files that a process maps (``man 5 proc_pid_maps``)."""
    try:
        text = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return frozenset()
    names = (line.split(maxsplit=5)[-1] for line in text.splitlines())
    return frozenset(Path(name) for name in names if name.endswith(".safetensors"))


def own_memory(pid: int | None = None) -> int:
    """Return the bytes that a process (this one: None) has for itself now; 0 where the system does not tell."""
    try:
        text = Path(f"/proc/{os.getpid() if pid is None else pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    fields = (line.partition(":") for line in text.splitlines())
    return 1024 * sum(int(value.split()[0]) for name, _, value in fields if name in OWN)
