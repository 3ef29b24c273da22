"""The grey rest of an earlier line that begins like the one being typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.document import Document

LONGEST: Final = 1000
"""Characters of a line that is suggested."""


class EarlierLine(AutoSuggest):
    """Suggests the newest line that begins so: one line, so that it shows whole."""

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        """Return what would end the line; None where nothing fits or the cursor stands inside it."""
        text = document.text
        if not text.strip() or len(text) > LONGEST or "\n" in text or not document.is_cursor_at_the_end:
            return None
        for entry in reversed(buffer.history.get_strings()):
            if entry.startswith(text) and len(text) < len(entry) <= LONGEST and "\n" not in entry:
                return Suggestion(entry[len(text) :])
        return None
