"""A program in a pseudo-terminal: keys in, and every byte that its screen was sent."""

from __future__ import annotations

import pexpect
from processes import DEADLINE, environment, wait_until

READY = r">.*?\x1b\[\?25h"
"""The prompt, drawn and waiting."""
UP = "\x1b[A"
CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"


class Terminal:
    """One program in a pseudo-terminal, and all that its screen was sent."""

    def __init__(self, command: list[str], *, columns: int = 80, **changes: str | None) -> None:
        changes = {"TERM": "xterm-256color", "COLUMNS": None, "LINES": None, **changes}
        self.process = pexpect.spawn(
            command[0],
            command[1:],
            env=environment(**changes),
            timeout=DEADLINE,
            dimensions=(24, columns),
            encoding="utf-8",
            codec_errors="surrogateescape",
        )
        self.process.delaybeforesend = None
        self.seen = ""

    def expect(self, pattern: str) -> str:
        """Wait for ``pattern`` and return everything since the last one."""
        self.process.expect(pattern)
        new = self.process.before + self.process.after
        self.seen += new
        return new

    def type(self, text: str) -> None:
        self.process.send(text)

    def ask(self, question: str) -> None:
        """Wait for the prompt and submit a line."""
        self.expect(READY)
        self.type(question + "\r")

    def hang_up(self) -> None:
        """Close the window: the kernel sends SIGHUP."""
        self.process.ptyproc.fileobj.close()
        self.process.ptyproc.closed = self.process.closed = True

    def end(self) -> int:
        """Wait for the end and return what a shell would see in ``$?``; the screen is read, unless it was hung up."""
        if self.process.closed:
            wait_until(lambda: not self.process.isalive())
        else:
            self.process.expect(pexpect.EOF)
            self.seen += self.process.before
            self.process.close()
        signalled = self.process.signalstatus
        return self.process.exitstatus if signalled is None else 128 + signalled
