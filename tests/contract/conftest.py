"""Terminals for the contract's tests; each is gone when its test is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from processes import kill
from terminals import Terminal
from tmux import Tmux

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(command: list[str], **options) -> Terminal:
        opened.append(Terminal(command, **options))
        return opened[-1]

    yield start
    for terminal in opened:
        kill(terminal.process)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


@pytest.fixture
def open_tmux(tmp_path: Path) -> Iterator[Callable[..., Tmux]]:
    opened: list[Tmux] = []

    def start(command: list[str], *, ready: str = "> ", **options) -> Tmux:
        opened.append(Tmux(tmp_path / f"tmux-{len(opened)}", command, **options))
        opened[-1].wait_for(ready)
        return opened[-1]

    yield start
    for tmux in opened:
        tmux.call("kill-server")
