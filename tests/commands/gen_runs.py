"""Runs ``gen`` in this process, with a fake back end and streams of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakes import FakeBackend, fake_console, fake_stdin
from mistral_cli.commands.gen import run_gen
from mistral_cli.settings.load import load_settings

if TYPE_CHECKING:
    from mistral_cli.ui.console import Console


@dataclass
class Run:
    """What one run left behind."""

    code: int
    console: Console
    backend: FakeBackend
    loads: int

    @property
    def out(self) -> str:
        return self.console.out.file.text

    @property
    def err(self) -> str:
        return self.console.err.file.text

    @property
    def prompt(self) -> str:
        """The last message of the last prompt."""
        sent = self.backend.prompts[-1]
        return sent if isinstance(sent, str) else sent[-1].content


def ask(
    *, stdin: bytes | None = None, backend: FakeBackend | None = None, console: Console | None = None, **flags
) -> Run:
    """Run ``gen`` with ``flags``; ``stdin`` None is a terminal. What it raises, this raises."""
    backend, console = backend or FakeBackend(), console or fake_console()
    loads: list[object] = []

    def load(_settings: object, _console: object, _prompt: object) -> FakeBackend:
        loads.append(backend)
        return backend

    code = run_gen(load_settings(flags), console, stdin=fake_stdin(stdin), load=load)
    return Run(code=code, console=console, backend=backend, loads=len(loads))
