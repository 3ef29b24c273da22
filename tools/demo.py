"""`make demo`: ask the built-in model a question through the installed command, show the answer as it comes, check it.

Runs the very program a user runs, in a process of its own; knows nothing of what is inside.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

QUESTION = "How do I get a real model?"
MUST_HOLD = "mistral pull mistralai/Mistral-7B-Instruct-v0.3"
COMMAND = ["mistral", "gen", "--model", "builtin", "--temperature", "0", "--stats", QUESTION]


def ask(command: list[str]) -> tuple[str, list[float]]:
    """Run ``command``, pass its answer on as it arrives; return the answer and the arrival time of each piece."""
    started = time.perf_counter()
    pieces, times = [], []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None  # a pipe was asked for
        while piece := os.read(process.stdout.fileno(), 4096):
            times.append(time.perf_counter() - started)
            pieces.append(piece)
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    if process.returncode:
        sys.exit(f"demo: `mistral gen` ended with exit code {process.returncode}")
    return b"".join(pieces).decode(), times


def main() -> None:
    """Ask, show, check."""
    print(f"$ {shlex.join(COMMAND)}", flush=True)
    program = Path(sysconfig.get_path("scripts")) / COMMAND[0]
    answer, times = ask([str(program), *COMMAND[1:]])
    if MUST_HOLD not in answer:
        sys.exit(f"demo: the answer does not hold {MUST_HOLD!r}")
    if len(times) < 2:
        sys.exit("demo: the answer came in one piece, so it was not streamed")
    print(f"\nStreamed in {len(times)} pieces, the first after {times[0]:.1f} s. Now try:  {program} chat")


if __name__ == "__main__":
    main()
