"""Ids in, text out, as it comes: exact UTF-8, one leading space, stop strings. Knows no model and no terminal.

The chunks, joined, are what the tokenizer's own ``decode`` makes of all the ids (up to a stop string), however the
answer was cut into tokens. Each id costs the same, whatever came before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

REPLACEMENT = "\ufffd"


class Pieces(Protocol):
    """What a stream must know of a tokenizer."""

    @property
    def replaces_each_byte(self) -> bool:
        """Whether invalid UTF-8 decodes to one U+FFFD for each byte, not for each sequence."""
        ...

    def piece_bytes(self, token: int) -> bytes:
        """Return the bytes that ``token`` stands for; none for a control id."""
        ...

    def has_word_space(self, token: int) -> bool:
        """Tell whether the piece opens with a space that is dropped at the start of a text."""
        ...


class TextStream:
    """The text of one answer, id by id.

    Args:
        tokenizer: whose ids these are.
        stops: strings that end the answer; they are never shown, nor is anything after them.
        continues: the answer goes on from words that stand in the prompt, so its first space belongs to it.
    """

    def __init__(self, tokenizer: Pieces, stops: Sequence[str] = (), continues: bool = False) -> None:
        self._tokenizer = tokenizer
        self._characters = _Characters(each_byte=tokenizer.replaces_each_byte)
        self._matcher = _StopMatcher(stops)
        self._at_start = not continues
        self._owed = self._shown = ""

    @classmethod
    def after(cls, tokenizer: Pieces, stops: Sequence[str], ids: Sequence[int], text: str) -> TextStream:
        """Return the stream of an answer that goes on from ``ids``, of which ``text`` was shown.

        A character or a stop string may begin before the border and end behind it. Stops that stand wholly before it
        end nothing. Without ``ids`` the text is all there is to go on from.
        """
        stream = cls(tokenizer, continues=not ids)
        said = "".join(map(stream.push, ids)) if ids else text
        stream._matcher = _StopMatcher(stops)
        released = stream._matcher.resume(said)
        if released.startswith(text):
            stream._owed = released[len(text) :]
        elif text.startswith(released):
            stream._shown = text[len(released) :]
        return stream

    @property
    def stopped(self) -> str | None:
        """The stop string that ended the answer."""
        return self._matcher.found

    def owed(self) -> str:
        """Return, once, what ``ids`` made that was not shown before the border; it comes before the next id's text."""
        text, self._owed = self._owed, ""
        return text

    def push(self, token: int) -> str:
        """Take the next id and return the text that may be shown now; empty while a character or a stop is open."""
        data = self._tokenizer.piece_bytes(token)
        if not data:  # a control token has no text, but ends a character that was begun
            return self._release(self._matcher.push(self._characters.finish()))
        if self._at_start and self._tokenizer.has_word_space(token):
            data = data[1:]
        self._at_start = False
        return self._release(self._matcher.push(self._characters.push(data)))

    def finish(self) -> str:
        """End the answer and return what was held back: an open character as U+FFFD, the beginning of a stop."""
        return self._release(self._matcher.push(self._characters.finish()) + self._matcher.finish())

    def _release(self, text: str) -> str:
        """Return ``text`` with what is still owed before it, without what was shown before the border already."""
        text, self._owed = self._owed + text, ""
        while text and self._shown:
            if text[0] != self._shown[0]:
                self._shown = ""  # a replacement character that has become the character it stood for
                break
            text, self._shown = text[1:], self._shown[1:]
        return text


class _Characters:
    """Bytes to characters. An invalid sequence gives one U+FFFD a byte (sentencepiece) or one in all (tiktoken)."""

    def __init__(self, *, each_byte: bool) -> None:
        self._each_byte = each_byte
        self._open = b""

    def push(self, data: bytes) -> str:
        """Return the characters that ``data`` completes."""
        return self._read(self._open + data, final=False)

    def finish(self) -> str:
        """Return replacements for the bytes of a character that never ended."""
        return self._read(self._open, final=True)

    def _read(self, data: bytes, *, final: bool) -> str:
        texts = []
        while data:
            try:
                texts.append(data.decode())
                data = b""
            except UnicodeDecodeError as error:
                texts.append(data[: error.start].decode())
                data = data[error.start :]
                if error.reason == "unexpected end of data" and not final:
                    break
                texts.append(REPLACEMENT)
                data = data[1 if self._each_byte else error.end - error.start :]
        self._open = data
        return "".join(texts)


class _StopMatcher:
    """Holds back the longest tail that could begin a stop string (Knuth-Morris-Pratt, one state a stop)."""

    def __init__(self, stops: Sequence[str]) -> None:
        # Where two stops end at the same character the longer one wins: it began first.
        self._stops = sorted(set(stops), key=len, reverse=True)
        self._borders = [_borders(stop) for stop in self._stops]
        self._matched = [0] * len(self._stops)
        self._held = ""
        self.found: str | None = None

    def push(self, text: str) -> str:
        """Return the text before a stop, or all but the tail that could begin one."""
        if not self._stops:
            return text
        if self.found is not None:
            return ""
        seen = self._held + text
        for end, char in enumerate(text, start=len(self._held) + 1):
            self.found = self._step(char)
            if self.found is not None:
                self._held = ""
                return seen[: end - len(self.found)]
        safe = len(seen) - max(self._matched)
        self._held = seen[safe:]
        return seen[:safe]

    def resume(self, text: str) -> str:
        """Take text in which no stop ends an answer; return all but the tail that could begin one."""
        for char in text:
            self._step(char)
            for index, stop in enumerate(self._stops):
                if self._matched[index] == len(stop):
                    self._matched[index] = self._borders[index][-1]
        safe = len(text) - max(self._matched, default=0)
        self._held = text[safe:]
        return text[:safe]

    def finish(self) -> str:
        """Return the tail that began no stop after all."""
        held, self._held = self._held, ""
        return held

    def _step(self, char: str) -> str | None:
        """Advance every state by one character and return the longest stop that ends here."""
        found = None
        for index, stop in enumerate(self._stops):
            matched = self._matched[index]
            while matched and stop[matched] != char:
                matched = self._borders[index][matched - 1]
            self._matched[index] = matched + (stop[matched] == char)
            if self._matched[index] == len(stop) and found is None:
                found = stop
        return found


def _borders(pattern: str) -> list[int]:
    """Return, for each prefix of ``pattern``, the length of its longest proper prefix that is also its suffix."""
    borders = [0]
    for char in pattern[1:]:
        size = borders[-1]
        while size and pattern[size] != char:
            size = borders[size - 1]
        borders.append(size + (pattern[size] == char))
    return borders
