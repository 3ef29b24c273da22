"""A program in a real terminal, tmux, which wraps old lines anew when resized: keys in, screen and scrollback out."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from processes import environment, wait_until

if TYPE_CHECKING:
    from pathlib import Path


class Tmux:
    """One tmux window with a program in it."""

    def __init__(self, folder: Path, command: list[str], columns: int, rows: int) -> None:
        self.socket = folder / "tmux"
        size = ["-x", str(columns), "-y", str(rows)]
        self.call("-f", "/dev/null", "new-session", "-d", *size, shlex.join(command))

    def call(self, *arguments: str) -> str:
        run = subprocess.run(
            ["tmux", "-S", str(self.socket), *arguments],
            capture_output=True,
            check=True,
            text=True,
            env=environment(TMUX=None, TERM="xterm-256color", LC_ALL="C.UTF-8"),
        )
        return run.stdout

    def seen(self) -> str:
        """Return all that the window shows and what scrolled out of it, lines that it wrapped joined."""
        return self.call("capture-pane", "-p", "-J", "-S", "-")

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.seen())

    def type(self, *keys: str) -> None:
        self.call("send-keys", *keys)

    def resize(self, columns: int, rows: int) -> None:
        self.call("resize-window", "-x", str(columns), "-y", str(rows))
        wait_until(lambda: self.call("display", "-p", "#{pane_width}").strip() == str(columns))
