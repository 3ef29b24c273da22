"""A person at a keyboard, and a screen in memory: keys go in as a terminal sends them, pyte tells what is shown."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyte
from prompt_toolkit.application import get_app
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input

from fakes import FakeBackend, fake_console
from mistral_cli.contract import SamplingParams
from mistral_cli.ui.history import KeptHistory
from mistral_cli.ui.keyboard.display import Screen
from mistral_cli.ui.keyboard.line import Keyboard
from mistral_cli.ui.repl import Repl, no_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prompt_toolkit.input.base import PipeInput
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

    Step = str | Callable[["Typist"], bool]
    """Keys, or what has to hold before the next ones."""

DEADLINE = 240.0
ENTER, ALT_ENTER, TAB, ESCAPE = "\r", "\x1b\r", "\t", "\x1b"
UP, DOWN, RIGHT, LEFT, BACKSPACE = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x7f"
CTRL = {letter: chr(ord(letter) - 64) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"}
_PRESSED_ALL = "\x1b[23;6~"
"""A key that only tells that those before it were taken (Ctrl-F23)."""


def paste(text: str) -> str:
    """Return a paste as terminals send it."""
    return f"\x1b[200~{text.replace(chr(10), chr(13))}\x1b[201~"


def shows(text: str) -> Callable[[Typist], bool]:
    """Return what tells whether the screen shows ``text``."""
    return lambda typist: text in "\n".join(typist.rows())


class _Terminal:
    """What prompt-toolkit writes to."""

    encoding = "utf-8"

    def __init__(self, columns: int, rows: int) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.written = ""

    def write(self, text: str) -> int:
        self.written += text
        self._stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    def flush(self) -> None:
        pass

    def fileno(self) -> int:
        return -1

    def isatty(self) -> bool:
        return True


@dataclass
class Typist:
    """Types into the line of one chat."""

    chat: Repl
    keyboard: Keyboard
    terminal: _Terminal
    pipe: PipeInput
    text: str = ""
    """What stood in the line when all was pressed."""
    column: int = 0
    """Where the cursor was."""
    _taken: asyncio.Event | None = None
    _rows: list[str] = field(default_factory=list)

    def type(self, *steps: Step) -> str:
        """Press keys until a line is sent; return it."""
        line = self._play(steps)
        assert line is not None, f"no line was sent; in it stands {self.text!r}"
        return line

    def screen(self, *steps: Step) -> list[str]:
        """Press keys; return the rows that the screen shows then, and leave the line."""
        assert self._play(steps) is None, "the line was sent"
        return self._rows

    def rows(self) -> list[str]:
        """Return what the screen shows now, without the blank rows at its end."""
        return "\n".join(row.rstrip() for row in self.terminal.screen.display).rstrip().split("\n")

    def took_all(self, _event: KeyPressEvent) -> None:
        if self._taken is not None:
            self._taken.set()

    def _play(self, steps: tuple[Step, ...]) -> str | None:
        app = self.keyboard._session.app
        self.terminal.screen.reset()
        begun = False

        def begin(_app: object) -> None:
            nonlocal begun
            if not begun:
                begun = True
                app.create_background_task(self._press(steps))

        app.after_render += begin
        try:
            return self.keyboard.read()
        finally:
            app.after_render -= begin

    async def _press(self, steps: tuple[Step, ...]) -> None:
        app = get_app()
        try:
            for step in steps:
                if isinstance(step, str):
                    self._taken = asyncio.Event()
                    await asyncio.to_thread(self.pipe.send_text, step + _PRESSED_ALL)  # a pipe holds 64 kB
                    await asyncio.wait_for(self._taken.wait(), DEADLINE)
                else:
                    await self._until(step)
            app._redraw()
            self._rows, self.column = self.rows(), self.terminal.screen.cursor.x
            self.text = self.keyboard._session.default_buffer.text
            app.exit(result=None)
        except (AssertionError, TimeoutError) as error:
            app.exit(exception=error)

    async def _until(self, holds: Callable[[Typist], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not holds(self):
            assert time.monotonic() < deadline, "\n".join(self.rows())
            await asyncio.sleep(0.002)


@contextmanager
def typist(
    *, columns: int = 80, rows: int = 24, color: bool = False, keys: str = "emacs", chat: Repl | None = None, **options
) -> Iterator[Typist]:
    """Sit down at the line of ``chat``, or of a new one with these options."""
    console = fake_console(terminal=True, color=color, columns=columns, rows=rows)
    usual = {"backend": FakeBackend(), "params": SamplingParams(), "console": console, "read": no_line}
    chat = chat or Repl(**usual | options, tells_keys=True)
    terminal = _Terminal(columns, rows)
    screen = Screen(terminal, lambda: Size(rows=rows, columns=columns), term="xterm-256color", enable_cpr=False)
    with create_pipe_input() as pipe:
        keyboard = Keyboard(chat, KeptHistory(chat.keeper), keys=keys, source=pipe, screen=screen)
        person = Typist(chat, keyboard, terminal, pipe)
        keyboard._session.key_bindings.add("c-f23", eager=True)(person.took_all)
        yield person
