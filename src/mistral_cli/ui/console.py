"""The one Console: answers to stdout, everything else to stderr, and what each stream may carry.

Only here is it asked whether a stream is a terminal. Untrusted text is made safe here, and only for a terminal.
Nothing here knows what a model is.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TextIO

from mistral_cli.text.sanitize import Sanitizer, sanitize
from mistral_cli.ui.echo import lines_read
from mistral_cli.ui.live import reflows
from mistral_cli.ui.spinner import Spinner
from mistral_cli.ui.wrap import cells, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mistral_cli.errors import MistralError

USUAL_COLUMNS, USUAL_ROWS = 80, 24
_CLEAR_LINE = "\r\x1b[K"
_STYLES = {"error": "1;31", "warning": "33", "notice": "2", "prompt": "1;32"}


def wants_color(choice: str, *, is_terminal: bool, environ: Mapping[str, str]) -> bool:
    """Decide on colour for one stream: ``--color``, then NO_COLOR, CLICOLOR_FORCE, TERM, then what the stream is."""
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return is_terminal and environ.get("TERM", "dumb") != "dumb"


@dataclass(slots=True, kw_only=True)
class Stream:
    """stdout or stderr: bytes go in at once, so that nothing waits in a buffer."""

    file: BinaryIO | None
    """None where the stream was closed before we started."""
    is_terminal: bool = False
    color: bool = False
    can_redraw: bool = False
    """Whether the cursor can be moved: a terminal that is not dumb."""
    measure: Callable[[], int] = lambda: USUAL_COLUMNS
    """Tells how wide the terminal is now: people resize it."""
    measure_rows: Callable[[], int] = lambda: USUAL_ROWS
    _sanitizer: Sanitizer = field(default_factory=Sanitizer)

    @classmethod
    def of(cls, file: TextIO | None, *, choice: str = "auto", environ: Mapping[str, str] = os.environ) -> Stream:
        """Take over ``sys.stdout`` or ``sys.stderr``."""
        if file is None:
            return cls(file=None)
        file.flush()
        is_terminal = file.isatty()
        return cls(
            file=file.buffer,
            is_terminal=is_terminal,
            color=wants_color(choice, is_terminal=is_terminal, environ=environ),
            can_redraw=is_terminal and environ.get("TERM", "dumb") != "dumb",
            measure=partial(_columns, file),
            measure_rows=partial(_rows, file),
        )

    @property
    def columns(self) -> int:
        """How many columns the terminal has; 80 where there is none."""
        return self.measure()

    @property
    def rows(self) -> int:
        """How many rows the terminal has; 24 where there is none."""
        return self.measure_rows()

    def write(self, text: str) -> None:
        """Write trusted text (our own words and escapes) as it is.

        Raises:
            OSError: the stream is closed, its reader is gone, or the disk is full.
        """
        if self.file is None:
            raise OSError(errno.EBADF, "the standard output is closed")
        self.file.write(text.encode("utf-8", "backslashreplace"))
        self.file.flush()

    def write_untrusted(self, text: str) -> None:
        """Write the next piece of somebody else's words, made safe across pieces if this is a terminal."""
        self.write(self._sanitizer.push(text) if self.is_terminal else text)

    def safe(self, text: str) -> str:
        """Return somebody else's words, made safe if this is a terminal."""
        return sanitize(text) if self.is_terminal else text


def _columns(file: TextIO) -> int:
    try:
        return os.get_terminal_size(file.fileno()).columns or USUAL_COLUMNS
    except OSError:
        return USUAL_COLUMNS


def _rows(file: TextIO) -> int:
    try:
        return os.get_terminal_size(file.fileno()).lines or USUAL_ROWS
    except OSError:
        return USUAL_ROWS


@dataclass(slots=True, kw_only=True)
class Console:
    """What commands write through."""

    out: Stream
    err: Stream
    quiet: bool = False
    """Say errors only."""
    hide_live: Callable[[], None] | None = None
    """Takes what is drawn again and again (the end of an answer) off the screen, before a line is written there."""
    _status: int = 0
    """Cells of the line that the next output replaces."""
    _spinner: Spinner | None = None
    _said: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, *, choice: str = "auto", quiet: bool = False, environ: Mapping[str, str] = os.environ) -> Console:
        """Take over the process's own streams; ``choice`` is ``--color``'s."""
        out = Stream.of(sys.stdout, choice=choice, environ=environ)
        return cls(out=out, err=Stream.of(sys.stderr, choice=choice, environ=environ), quiet=quiet)

    # -- stdout --------------------------------------------------------------------------------------------------

    def answer(self, text: str) -> None:
        """Write the next piece of the answer, on the screen when this returns."""
        self.clear_status()
        self.out.write_untrusted(text)

    def rendered(self, text: str) -> None:
        """Write text that was laid out and made safe already."""
        self.clear_status()
        self.out.write(text)

    def line(self, text: str) -> None:
        """Write one line (or several) of a result; untrusted."""
        self.clear_status()
        self.out.write(self.out.safe(text) + "\n")

    def rows(self, *lines: str, indent: str = "  ") -> None:
        """Write lines of a result for people, each wrapped at words where the terminal is narrower; untrusted."""
        self.clear_status()
        safe = [part for line in lines for part in self.out.safe(line).split("\n")]
        if self.out.is_terminal:
            safe = [wrapped(line, self.out.columns, indent) for line in safe]
        self.out.write("".join(f"{line}\n" for line in safe))

    def gap(self) -> None:
        """Leave a blank line on a terminal: what comes next stands apart."""
        if self.out.is_terminal:
            self.rendered("\n")

    def fresh_line(self) -> None:
        """Go to the beginning of a line, below what another program may have left without a line end.

        A row of blanks goes on into the next row unless it began at the first column; then it is taken back.
        """
        if self.out.can_redraw:
            self.rendered(" " * self.out.columns + "\r\x1b[K")

    def json(self, value: object) -> None:
        """Write one JSON object on a line of its own."""
        self.line(json.dumps(value, ensure_ascii=False))

    # -- stderr --------------------------------------------------------------------------------------------------

    def error(self, error: MistralError) -> None:
        """Say in one line what happened, why, and what to do."""
        self._say("error", f"{error}")

    def warning(self, text: str) -> None:
        """Say that something is not as the user may think."""
        if not self.quiet:
            self._say("warning", text)

    def notice(self, text: str) -> None:
        """Say something worth knowing: one dim line without a label."""
        if not self.quiet:
            self._tell(self._styled(self._wrapped(" ".join(self.err.safe(text).split("\n"))), "notice"))

    def notice_once(self, text: str) -> None:
        """Say something worth knowing, but not at every turn again."""
        if text not in self._said:
            self._said.add(text)
            self.notice(text)

    def stats(self, text: str) -> None:
        """Write statistics that were asked for, quiet or not."""
        self._tell(self._wrapped(self.err.safe(text)))

    def laid_out(self, text: str) -> None:
        """Write lines to stderr that were laid out and made safe already."""
        if not self.quiet:
            self._tell(text)

    def status(self, text: str) -> None:
        """Show a line that the next output replaces; nothing where the cursor cannot be moved."""
        if self.err.can_redraw and not self.quiet:
            self._stop_spinner()
            self._draw_status(text)

    def wait(self, text: str) -> None:
        """Show a line with a turning mark if nothing else comes for a while, until the next output."""
        if self._spinner is not None:
            self._spinner.text = text
        elif self.err.can_redraw and not self.quiet:
            self._spinner = Spinner(text, self._draw_status)

    def clear_status(self) -> None:
        """Take the line that ``status`` or ``wait`` showed off the screen."""
        self._stop_spinner()
        if self._status:
            erasing, self._status = self._erasing(), 0
            self._put(erasing)

    def _say(self, kind: str, text: str) -> None:
        """Write ``kind: text`` on one line, wrapped at words where the terminal is narrower."""
        line = self._wrapped(f"{kind}: " + " ".join(self.err.safe(text).splitlines()))
        self._tell(self._styled(f"{kind}:", kind) + line.removeprefix(f"{kind}:"))

    def _wrapped(self, line: str) -> str:
        return wrapped(line, self.err.columns) if self.err.is_terminal else line

    def _draw_status(self, text: str) -> None:
        line = self.err.safe(text)[: self.err.columns - 1]
        while cells(line) >= self.err.columns > 1:
            line = line[:-1]
        erasing, self._status = self._erasing(), max(cells(line), 1)
        self._put(erasing + self._styled(line, "notice"))

    def _erasing(self) -> str:
        """Return what takes the line away: terminals wrap it anew when the window becomes narrower."""
        rows = -(-self._status // max(self.err.columns, 1)) if reflows(os.environ) else 1
        return _CLEAR_LINE if rows <= 1 else f"\r\x1b[{rows - 1}A\x1b[J"

    def _stop_spinner(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None

    def _tell(self, line: str) -> None:
        self.clear_status()
        if self.hide_live is not None:
            with contextlib.suppress(OSError):  # stdout is gone: whoever writes there next is told
                self.hide_live()
        self._put(line + "\n")

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.err.color and text else text

    def _put(self, text: str) -> None:
        with contextlib.suppress(OSError):  # nobody listens to stderr, and there is no one else to tell
            self.err.write(text)

    # -- questions -----------------------------------------------------------------------------------------------

    @property
    def can_ask(self) -> bool:
        """Tell whether a person sits there: stdin and stderr are terminals."""
        return self.err.is_terminal and sys.stdin is not None and sys.stdin.isatty()

    def ask(self, question: str) -> bool:
        """Ask on stderr; True for yes. Anything else, and the end of input, is no."""
        self.clear_status()
        with lines_read():  # before the question can be seen: an Enter that comes at once ends a line
            self._put(self.err.safe(question) + " [y/N] ")
            return sys.stdin.readline().strip().lower() in ("y", "yes")
