"""The real ``gen`` or ``chat`` under the real roof, with a fake back end: a process of its own for streams and signals.

Run as ``python program.py '{"command": "gen", "answers": […], "gate": PATH, "flags": {…}}'``. With a ``gate``, the
back end waits before piece ``gate_at`` (the second) until that file exists, or Ctrl-C comes; with ``stops``, pairs of
an answer's number and a piece's, it waits there for Ctrl-C; with an ``error`` (the name of a class) that is what it
raises. ``context`` is how many words fit (64), ``alternatives`` what else was likely. ``leaves_within`` stands for the
second in which a second Ctrl-C leaves a chat: no test can be sure to press it so soon.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes import BASE_INFO, FAKE_INFO, FakeBackend
from mistral_cli import errors
from mistral_cli.cli import guarded, prepare_process
from mistral_cli.commands.chat import run_chat
from mistral_cli.commands.gen import run_gen
from mistral_cli.settings.load import load_settings
from mistral_cli.ui import repl
from mistral_cli.ui.console import Console
from mistral_cli.ui.stdin import Stdin

if TYPE_CHECKING:
    from mistral_cli.commands.start import Invocation
    from mistral_cli.contract import Cancel

DEADLINE = 240.0


def wait_at(gate: Path, before: int, number: int, cancel: Cancel | None) -> None:
    """Wait before one piece until the gate is there."""
    until = time.monotonic() + DEADLINE
    while number == before and not gate.exists() and not (cancel and cancel.is_set()):
        assert time.monotonic() < until, "the test never opened the gate"
        time.sleep(0.002)


def wait_for_ctrl_c(stops: list[list[int]], backend: FakeBackend, number: int, cancel: Cancel | None) -> None:
    """Wait before these pieces, each an answer's number and its own, until Ctrl-C comes."""
    until = time.monotonic() + DEADLINE
    while [len(backend.prompts), number] in stops and not (cancel and cancel.is_set()):
        assert time.monotonic() < until, "the test never pressed Ctrl-C"
        time.sleep(0.002)


def job(spec: dict, invocation: Invocation) -> int:
    settings = load_settings(spec.get("flags", {}))
    console = invocation.console = Console.open(choice=settings.color, quiet=settings.quiet)
    info = BASE_INFO if spec.get("is_base") else FAKE_INFO
    backend = FakeBackend(
        answers=spec.get("answers", ["Hello there, friend."]),
        info=replace(info, name=spec.get("name", info.name), context=spec.get("context", info.context)),
        alternatives=spec.get("alternatives", ()),
    )
    if "error" in spec:
        backend.error = getattr(errors, spec["error"])("It broke.")
    if "gate" in spec:
        backend.before_piece = partial(wait_at, Path(spec["gate"]), spec.get("gate_at", 1))
    if "stops" in spec:
        backend.before_piece = partial(wait_for_ctrl_c, spec["stops"], backend)
    repl.LEAVES_WITHIN = spec.get("leaves_within", repl.LEAVES_WITHIN)
    run = {"gen": run_gen, "chat": run_chat}[spec["command"]]
    code = run(settings, console, stdin=Stdin.open(), load=lambda *_: backend)
    return code or 0


if __name__ == "__main__":
    prepare_process()
    sys.exit(guarded(partial(job, json.loads(sys.argv[1]))))
