"""Drive a real `mistral chat` in a pseudo-terminal and export what its screen shows as an SVG picture.

Knows keys and screens only: what is typed, and when the screen has become still.
"""

from __future__ import annotations

import io
import os
import re
import sys
import sysconfig
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pexpect
import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

DOCS = Path(__file__).parents[1] / "docs"
COLUMNS, ROWS = 92, 200
PROMPT = "> "


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One picture: the command line, what is typed at its prompt, and what must be on the screen after each line."""

    name: str
    title: str
    arguments: tuple[str, ...]
    typed: tuple[tuple[str, str], ...] = field(default=())


SCENES = (
    Scene(
        name="chat",
        title="mistral chat",
        arguments=("chat", "--model", "builtin", "--temperature", "0"),
        typed=(
            ("hi, who are you?", "trained to explain this one program"),
            ("how do i summarise a file from a pipe?", "| mistral gen"),
            ("and what is a KV cache?", "keys and values of all earlier tokens"),
        ),
    ),
)


def _style(char: pyte.screens.Char) -> Style:
    """Translate the attributes of one screen cell."""
    named = {"default": None, "brown": "yellow"}

    def colour(name: str) -> str | None:
        if name in named:
            return named[name]
        return f"#{name}" if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name) else name

    return Style(
        color=colour(char.fg),
        bgcolor=colour(char.bg),
        bold=char.bold,
        italic=char.italics,
        underline=char.underscore,
        reverse=char.reverse,
    )


def _lines(screen: pyte.Screen) -> list[Text]:
    """Return the rows of the screen up to the last that is not blank."""
    rows = []
    for number in range(screen.lines):
        row = Text()
        for column in range(screen.columns):
            char = screen.buffer[number][column]
            row.append(char.data, _style(char))
        row.rstrip()
        rows.append(row)
    while rows and not rows[-1].plain:
        rows.pop()
    return rows


def record(scene: Scene) -> pyte.Screen:
    """Play ``scene`` in a terminal of its own, in a home of its own; return its last screen."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    with tempfile.TemporaryDirectory() as home:
        program = str(Path(sysconfig.get_path("scripts")) / "mistral")
        environment = {**os.environ, "MISTRAL_CLI_HOME": home, "TERM": "xterm-256color", "HF_HUB_OFFLINE": "1"}
        child = pexpect.spawn(program, list(scene.arguments), env=environment, dimensions=(ROWS, COLUMNS), timeout=60)
        child.logfile_read = _Feed(stream, child)
        for line, answer in scene.typed:
            child.expect_exact(PROMPT)
            child.send(line + "\r")
            child.expect_exact(answer.split()[-1])
        child.expect_exact(PROMPT)
        child.sendeof()
        child.expect(pexpect.EOF)
    return screen


class _Feed(io.RawIOBase):
    """A log file that is a screen; answers the terminal's question for the cursor, which prompt-toolkit asks."""

    def __init__(self, stream: pyte.ByteStream, child: pexpect.spawn[bytes]) -> None:
        self.stream, self.child = stream, child

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Draw ``data``."""
        self.stream.feed(data)
        if b"\x1b[6n" in data:
            cursor = self.stream.listener.cursor
            self.child.send(f"\x1b[{cursor.y + 1};{cursor.x + 1}R")
        return len(data)


def export(scene: Scene) -> Path:
    """Play ``scene`` and write ``docs/NAME.svg``."""
    lines = _lines(record(scene))
    for _line, answer in scene.typed:
        assert answer in " ".join(" ".join(line.plain for line in lines).split()), f"not on the screen: {answer}"
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(line, soft_wrap=True)
    path = DOCS / f"{scene.name}.svg"
    svg = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title=scene.title), flags=re.DOTALL)  # no web fonts
    path.write_text(svg, encoding="utf-8")
    return path


def main() -> None:
    """Export every picture."""
    for scene in SCENES:
        print(export(scene), file=sys.stderr)


if __name__ == "__main__":
    main()
