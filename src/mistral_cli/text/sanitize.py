"""Untrusted text made safe for a terminal. Knows no terminal: whoever shows text asks for it, files and pipes do not.

Control characters become visible forms, characters that hide or reorder others become ``<U+202E>``. What is left cannot
move the cursor, write the clipboard, open a link or show another text than the one that is there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e"  # soft hyphen, joiners, fillers, the Arabic mark
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"  # zero-width, bidi, separators, BOM
    "\U000e0000-\U000e007f\U000e0100-\U000e01ef"  # tags and variation selectors, in which whole texts are smuggled
)
_UNSAFE = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{_INVISIBLE}]")
_JOINERS = "\u200c\u200d"
# Emoji that a ZERO WIDTH JOINER ties together, and the scripts whose spelling needs joiners (Arabic to Sinhala,
# Myanmar, Khmer, Mongolian): after one of these a joiner is a letter's form and nothing is hidden behind it.
_JOINABLE = re.compile(
    "[\u0600-\u0dff\u1000-\u109f\u1780-\u18af\ufe0f\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
)


class Sanitizer:
    """Makes the chunks of one stream safe; what a chunk ended with is remembered for the next."""

    def __init__(self) -> None:
        self._last = ""

    def push(self, text: str) -> str:
        """Return ``text`` with every unsafe character in its visible form; newlines and tabs stay."""
        if not text:
            return ""
        safe = _UNSAFE.sub(self._show, text)
        self._last = text[-1]
        return safe

    def _show(self, match: re.Match[str]) -> str:
        """Return the visible form of one unsafe character, or a joiner itself where a script needs it."""
        char, at = match.group(), match.start()
        before = match.string[at - 1] if at else self._last
        if char in _JOINERS and _JOINABLE.match(before):
            return char
        return _visible(char)


def sanitize(text: str) -> str:
    """Return a whole text made safe."""
    return Sanitizer().push(text)


def unsafe_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield where each unsafe character stands in a text, and its visible form."""
    for match in _UNSAFE.finditer(text):
        char = match.group()
        if char not in _JOINERS or not match.start() or not _JOINABLE.match(text[match.start() - 1]):
            yield match.start(), _visible(char)


def _visible(char: str) -> str:
    """Return the control picture of a C0 character or DEL, ``<U+XXXX>`` for everything else."""
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if char == "\x7f" else f"<U+{code:04X}>"
