"""A chat without its keyboard, for the tests of what is typed in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes import FakeBackend, fake_console
from mistral_cli.contract import SamplingParams
from mistral_cli.ui.repl import Repl

if TYPE_CHECKING:
    from collections.abc import Iterator


def typed(*lines: str, backend: FakeBackend, columns: int = 80, terminal: bool = True, **options) -> Repl:
    """Type ``lines`` and leave."""
    left: Iterator[str] = iter(lines)

    def read() -> str:
        line = next(left, None)
        if line is None:
            raise EOFError
        return line

    console = fake_console(terminal=terminal, columns=columns)
    repl = Repl(backend=backend, params=SamplingParams(), console=console, read=read, **options)
    repl.run()
    return repl


def out(repl: Repl) -> str:
    return repl.console.out.file.text


def err(repl: Repl) -> str:
    """Return what was said beside, as if the terminal were wide enough."""
    return " ".join(repl.console.err.file.text.split())


def answers(repl: Repl) -> list[str]:
    """Return the answers of the branch where the talk stands."""
    return [turn.answer for turn in repl.conversation.path()]
