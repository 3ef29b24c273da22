"""How the line looks: unsafe characters in a visible form, huge lines in part, colours. The text stays as it is."""

from __future__ import annotations

import bisect
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prompt_toolkit.formatted_text import to_formatted_text
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.layout.processors import Processor, Transformation
from prompt_toolkit.output import create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_term_environment_variable

from mistral_cli.text.sanitize import unsafe_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.layout.processors import TransformationInput
    from prompt_toolkit.output import Output

LONGEST: Final = 8000
"""Characters of one line that are laid out at every key; more would be felt."""
_AROUND: Final = 1000
"""Of a longer line: characters shown at its ends and on both sides of the cursor."""
TAB: Final = 4
_UNSAFE_STYLE: Final = "class:control-character"


class Screen(Vt100_Output):
    """The terminal. Asked for no cursor position: some do not answer, and the answer of others comes between keys."""

    def get_rows_below_cursor_position(self) -> int:
        """Return the rows that the line may be sure of: what it needs beyond them, it scrolls for."""
        return 1


def open_screen() -> Output:
    """Return the output that stdout is."""
    if sys.platform == "win32":
        return create_output()
    screen = Screen.from_pty(sys.stdout, term=get_term_environment_variable())
    screen.enable_cpr = False
    return screen


def style(*, has_color: bool) -> Style:
    """Return how the parts of the screen look; without colour, what must be told apart is dim or underlined."""
    grey = "ansibrightblack" if has_color else "dim"
    rows = {
        "prompt": "bold ansigreen" if has_color else "",
        "auto-suggestion": grey,
        "bottom-toolbar": "noreverse",
        "bottom-toolbar.text": grey if has_color else "",
        "toolbar.mode": "ansicyan" if has_color else "",
        "toolbar.warns": "ansiyellow" if has_color else "",
        "toolbar.full": "bold ansired" if has_color else "",
        "control-character": "ansiblue" if has_color else "",
    }
    return Style.from_dict(rows)


@dataclass(frozen=True, slots=True)
class _Run:
    """A part of the line, and what is shown of it."""

    source: int
    """Where it begins in the line."""
    display: int
    """Where it begins on the screen."""
    length: int
    shown: str | None
    """What stands in its place; None: the characters themselves."""


class SafeDisplay(Processor):
    """Shows control, hidden and reordering characters in a visible form, tabs as blanks, and huge lines in part."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Return the fragments to show, and how places in them and in the line correspond."""
        fragments = transformation_input.fragments
        text = fragment_list_to_text(fragments)
        if len(text) <= LONGEST and "\t" not in text and not any(unsafe_in(text)):
            return Transformation(fragments)
        document = transformation_input.document
        has_cursor = document.cursor_position_row == transformation_input.lineno
        cursor = document.cursor_position_col if has_cursor else 0
        runs = list(_runs(text, cursor))
        return Transformation(list(_shown(fragments, text, runs)), _to_display(runs), _to_source(runs))


def _runs(text: str, cursor: int) -> Iterator[_Run]:
    """Yield the parts of a line in order."""
    display = 0
    for start, end, shown in _replaced(text, cursor):
        shown = " " * (TAB - display % TAB) if shown == "\t" else shown
        yield _Run(start, display, end - start, shown)
        display += end - start if shown is None else len(shown)


def _replaced(text: str, cursor: int) -> Iterator[tuple[int, int, str | None]]:
    for start, end, is_shown in _parts(len(text), cursor):
        if not is_shown:
            yield start, end, f" … {end - start:,} characters … "
            continue
        at = start
        tabs = ((found.start(), "\t") for found in re.finditer("\t", text[start:end]))
        for place, shown in sorted((*unsafe_in(text[start:end]), *tabs)):
            if start + place > at:
                yield at, start + place, None
            at = start + place + 1
            yield at - 1, at, shown
        if end > at:
            yield at, end, None


def _parts(length: int, cursor: int) -> Iterator[tuple[int, int, bool]]:
    """Yield the parts of a line that are shown and those that are not: both ends, and what is around the cursor."""
    if length <= LONGEST:
        yield 0, length, True
        return
    wanted = [(0, _AROUND), (max(cursor - _AROUND, 0), min(cursor + _AROUND, length)), (length - _AROUND, length)]
    at = 0
    for start, end in wanted:
        if start > at:
            yield at, start, False
        if end > max(at, start):
            yield max(at, start), end, True
        at = max(at, end)


def _shown(fragments: StyleAndTextTuples, text: str, runs: list[_Run]) -> Iterator[tuple[str, str]]:
    """Yield what is shown of each part, in the style that its first character has."""
    ends: list[int] = []
    styles: list[str] = []
    at = 0
    for fragment in to_formatted_text(fragments):
        at += len(fragment[1])
        ends.append(at)
        styles.append(fragment[0])
    for run in runs:
        which = bisect.bisect_right(ends, run.source)
        if run.shown is not None:
            yield f"{styles[which]} {_UNSAFE_STYLE}", run.shown
            continue
        start, end = run.source, run.source + run.length
        while start < end:
            stop = min(ends[which], end)
            yield styles[which], text[start:stop]
            start, which = stop, which + 1


def _to_display(runs: list[_Run]) -> Callable[[int], int]:
    """Return what tells where a place of the line is on the screen; inside what is not shown, at its beginning."""
    starts = [run.source for run in runs]

    def place(index: int) -> int:
        run = runs[max(bisect.bisect_right(starts, index) - 1, 0)]
        inside = index - run.source
        if run.shown is None or inside < run.length:
            return run.display + (inside if run.shown is None else 0)
        return run.display + len(run.shown) + inside - run.length

    return place


def _to_source(runs: list[_Run]) -> Callable[[int], int]:
    """Return what tells which place of the line is shown where on the screen."""
    starts = [run.display for run in runs]

    def place(index: int) -> int:
        run = runs[max(bisect.bisect_right(starts, index) - 1, 0)]
        inside = index - run.display
        if run.shown is None:
            return run.source + inside
        return run.source + (0 if inside < len(run.shown) else run.length + inside - len(run.shown))

    return place
