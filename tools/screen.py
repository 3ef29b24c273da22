"""Plays keys to a program in a terminal of its own and draws its screen as an SVG picture.

Knows keys, cells and colours; not what is played.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import pexpect
import pyte

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEADLINE = 240.0
_ROWS = 300
"""So many that nothing scrolls off."""
_BEGUN = re.compile(rb"\x1b(\[[0-9;?]*)?$")
_FAINT = re.compile(rb"\x1b\[((?:[0-9]+;)*)2(;[0-9;]+)?m")

# One cell, in units of the picture; the font is 14 high, and its glyphs are 0.6 as wide.
_WIDTH, _HEIGHT, _FONT = 8.43, 19, 14
_LEFT, _TOP = 14, 44
_INK, _PAPER, _FAINT_INK = "#d6d6d6", "#1f2126", "#8a8f98"
_COLOURS = {
    "black": "#3b3f46",
    "red": "#e5686b",
    "green": "#7fc46f",
    "brown": "#d8b45c",
    "yellow": "#d8b45c",
    "blue": "#6aa4e8",
    "magenta": "#c586d8",
    "cyan": "#5fb8c4",
    "white": "#d6d6d6",
    "brightblack": _FAINT_INK,
}


class Look(NamedTuple):
    """How the cells of one run look."""

    ink: str
    paper: str
    is_bold: bool
    is_italic: bool
    is_underlined: bool


def play(
    command: Sequence[str],
    typed: Sequence[tuple[str, str]],
    *,
    columns: int,
    environment: Mapping[str, str],
    folder: str | None = None,
) -> pyte.Screen:
    """Run a program; type each text once what stands beside it has come (once more than before); return the screen.

    The last text may be empty: the screen is then as it was when its words had come. Otherwise the program ends.
    """
    size = (_ROWS, columns)
    program, *arguments = command
    child = pexpect.spawn(
        program, arguments, env=dict(environment), dimensions=size, timeout=DEADLINE, cwd=folder, maxread=65536
    )
    child.delaybeforesend = None
    screen = pyte.Screen(columns, _ROWS)
    stream, held, before = pyte.ByteStream(screen), b"", ""
    for keys, awaited in typed:
        until = time.monotonic() + DEADLINE
        while words(screen).count(awaited) <= before.count(awaited):
            assert time.monotonic() < until, f"{awaited!r} never came:\n" + "\n".join(screen.display).rstrip()
            with contextlib.suppress(pexpect.TIMEOUT):
                held = _feed(stream, held + child.read_nonblocking(65536, 1))
        if not keys:
            child.kill(signal.SIGKILL)
            child.wait()
            child.close()
            return screen
        before = words(screen) + keys
        child.send(keys)
    child.expect(pexpect.EOF)
    _feed(stream, held + child.before)
    return screen


def _feed(stream: pyte.ByteStream, data: bytes) -> bytes:
    """Draw ``data``, faint text in grey, as pyte knows none; return the escape that has only begun at its end."""
    begun = _BEGUN.search(data)
    whole, rest = (data[: begun.start()], data[begun.start() :]) if begun else (data, b"")
    stream.feed(_FAINT.sub(_grey, whole))
    return rest


def _grey(faint: re.Match[bytes]) -> bytes:
    before, after = faint[1], faint[2] or b""
    is_number = before.endswith(b"8;5;")  # of one of 256 colours
    return faint.group() if is_number else b"\x1b[" + before + b"90" + after + b"m"


def words(screen: pyte.Screen) -> str:
    """Return what stands on the screen, on one line."""
    return " ".join(" ".join(screen.display).split())


def plain_environment(home: str, **changes: str) -> dict[str, str]:
    """Return an environment in which every machine shows the same."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MISTRAL_CLI_", "LC_", "XDG_"))}
    for name in ("NO_COLOR", "CLICOLOR_FORCE", "COLORTERM", "TMUX", "COLUMNS", "LINES", "DISPLAY", "EDITOR", "VISUAL"):
        kept.pop(name, None)
    plain = {"MISTRAL_CLI_HOME": home, "TERM": "xterm-256color", "LANG": "C.UTF-8", "TZ": "UTC", "HF_HUB_OFFLINE": "1"}
    return {**kept, **plain, "HF_HOME": home, **changes}


def drawn(screen: pyte.Screen, title: str) -> str:
    """Return the screen as a picture, down to its last row that is not blank."""
    rows = max(number for number, line in enumerate(screen.display) if line.strip()) + 1
    width, height = round(screen.columns * _WIDTH) + 2 * _LEFT, _TOP + rows * _HEIGHT + 12
    font = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' font-family="{font}" font-size="{_FONT}" fill="{_INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{_PAPER}"/>',
        *(
            f'<circle cx="{20 + 18 * number}" cy="18" r="5.5" fill="{colour}"/>'
            for number, colour in enumerate(("#e5686b", "#d8b45c", "#7fc46f"))
        ),
        f'<text x="{width / 2:g}" y="23" text-anchor="middle" fill="{_FAINT_INK}">{escape(title)}</text>',
        *(part for row in range(rows) for part in _row(screen, row)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _row(screen: pyte.Screen, row: int) -> Iterator[str]:
    """Yield the parts of one row: a rectangle where the paper is coloured, then its text, as wide as its cells."""
    cells = [(column, screen.buffer[row][column]) for column in range(screen.columns)]
    for look, run in groupby(cells, key=lambda cell: _look(cell[1])):
        part = list(run)
        text = "".join(char.data for _, char in part)
        first, top = part[0][0], _TOP + row * _HEIGHT
        if look.paper != _PAPER:
            size = f'width="{len(part) * _WIDTH:.1f}" height="{_HEIGHT}"'
            yield f'<rect x="{_LEFT + first * _WIDTH:.1f}" y="{top - 14}" {size} fill="{look.paper}"/>'
        bare = text.strip()
        if bare:
            first += len(text) - len(text.lstrip())
            last = next(column for column, char in reversed(part) if char.data.strip())
            yield _text(bare, first, last - first + 1, top, look)


def _text(text: str, column: int, cells: int, y: int, look: Look) -> str:
    size = f'x="{_LEFT + column * _WIDTH:.1f}" y="{y}" textLength="{cells * _WIDTH:.1f}" xml:space="preserve"'
    marks = (
        (look.ink != _INK, f' fill="{look.ink}"'),
        (look.is_bold, ' font-weight="bold"'),
        (look.is_italic, ' font-style="italic"'),
        (look.is_underlined, ' text-decoration="underline"'),
    )
    return f"<text {size}{''.join(mark for is_so, mark in marks if is_so)}>{escape(text, quote=False)}</text>"


def _look(char: pyte.screens.Char) -> Look:
    ink, paper = _colour(char.fg, _INK), _colour(char.bg, _PAPER)
    if char.reverse:
        ink, paper = paper, ink
    return Look(ink, paper, char.bold, char.italics, char.underscore and bool(char.data.strip()))


def _colour(name: str, usual: str) -> str:
    if name == "default":
        return usual
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name):
        return f"#{name}"
    return _COLOURS.get(name) or _COLOURS.get(name.removeprefix("bright"), usual)
