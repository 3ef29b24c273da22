"""A program in a real terminal, tmux, which wraps old lines anew when resized: keys in, screen and scrollback out."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
import termios
from typing import TYPE_CHECKING

from processes import environment, wait_until

if TYPE_CHECKING:
    from pathlib import Path

ENTER, CTRL_C, CTRL_D, CTRL_Z = "Enter", "C-c", "C-d", "C-z"


class Tmux:
    """One window of its own tmux server, and a program in it; when that has ended, its exit code stands there.

    Args:
        socket: where the server listens.
        command: the program.
        columns: the window's.
        rows: the window's.
        changes: to the environment.
    """

    def __init__(
        self, socket: Path, command: list[str], *, columns: int = 80, rows: int = 24, **changes: str | None
    ) -> None:
        self.socket = socket
        self._before = ""
        size = ["-x", str(columns), "-y", str(rows)]
        started = f'{shlex.join(command)}; echo "(ended with $?)"; exec sleep 1000'
        terminal = {"TMUX": None, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "COLUMNS": None, "LINES": None}
        self._environment = environment(**{**terminal, **changes})
        self.call("-f", "/dev/null", "new-session", "-d", *size, started)

    def call(self, *arguments: str) -> str:
        """Run a command of tmux; return what it prints."""
        command = ["tmux", "-S", str(self.socket), *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True, env=self._environment).stdout

    def seen(self) -> str:
        """Return all that the window shows and what scrolled out of it, lines that it wrapped joined."""
        return self.call("capture-pane", "-p", "-J", "-S", "-")

    def rows(self) -> list[str]:
        """Return the same row by row, as wide as the window."""
        return self.call("capture-pane", "-p", "-S", "-").rstrip("\n").split("\n")

    def painted(self) -> str:
        """Return what the window shows now, with its colours."""
        return self.call("capture-pane", "-p", "-e")

    def wait_for(self, text: str) -> None:
        """Wait until the text stands there."""
        wait_until(lambda: text in self.seen(), lambda: f"{text!r} never came:\n{self.seen()}")

    def then(self, text: str) -> str:
        """Wait until the text stands there once more than before the last keys, however it is wrapped.

        Returns:
            All that came since then, on one line.
        """
        shown = ""

        def has_come() -> bool:
            nonlocal shown
            shown = on_one_line(self.seen())
            return shown.count(text) > self._before.count(text)

        wait_until(has_come, lambda: f"{text!r} never came:\n{self.seen()}")
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(shown, self._before, strict=False))
        return shown[len(list(same)) :]

    def type(self, *keys: str) -> None:
        """Press keys; those that have no name are typed as they are."""
        self._before = on_one_line(self.seen())
        self.call("send-keys", *keys)

    def ask(self, line: str, then: str) -> str:
        """Type a line; wait for what comes of it, and return that."""
        self._before = on_one_line(self.seen()) + then * line.count(then)  # or its echo would be taken for that
        self.call("send-keys", "-l", line)
        self.call("send-keys", ENTER)
        return self.then(then)

    def resize(self, columns: int, rows: int) -> None:
        """Make the window larger or smaller."""
        self.call("resize-window", "-x", str(columns), "-y", str(rows))
        wait_until(lambda: self.call("display", "-p", "#{pane_width}").strip() == str(columns))

    def process(self) -> int:
        """Return the id of the process that the terminal belongs to now."""
        command = ["ps", "-t", self._device(), "-o", "stat=,pid="]
        listed = subprocess.run(command, capture_output=True, check=True, text=True)
        return next(int(line.split()[1]) for line in listed.stdout.splitlines()[::-1] if "+" in line.split()[0])

    def wait_for_chat(self) -> None:
        """Wait until a chat that Ctrl-Z stopped has its terminal again: Ctrl-C drops no keys there, in no shell's."""
        terminal = os.open(self._device(), os.O_RDWR | os.O_NOCTTY)
        try:
            wait_until(lambda: bool(termios.tcgetattr(terminal)[3] & termios.NOFLSH))
        finally:
            os.close(terminal)

    def _device(self) -> str:
        return self.call("display", "-p", "#{pane_tty}").strip()


def on_one_line(text: str) -> str:
    """Return words as they follow each other, wherever lines end."""
    return " ".join(text.split())
