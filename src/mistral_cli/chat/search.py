"""Finding turns by their words. Knows no terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from mistral_cli.chat.session import Hit

if TYPE_CHECKING:
    from mistral_cli.chat.store import Store

MOST: Final = 50
_AROUND: Final = 12
_FOUND: Final = """SELECT sessions.name, turns.id, json_extract(turns.record, '$.when'), turns.question, found.excerpt
    FROM found JOIN turns USING (id) JOIN sessions ON sessions.id = turns.session ORDER BY turns.id"""
_BY_WORDS: Final = f"""WITH found AS MATERIALIZED (
        SELECT rowid AS id, snippet(words, -1, '', '', '…', {_AROUND}) AS excerpt
        FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?
    ) {_FOUND}"""
_BY_LETTERS: Final = f"""WITH said AS (SELECT id, question || char(10) || answer AS text FROM turns),
    found AS MATERIALIZED (
        SELECT id, substr(text, max(1, instr(lower(text), lower(:text)) - 30), 100) AS excerpt
        FROM said WHERE instr(lower(text), lower(:text)) ORDER BY id DESC LIMIT :most
    ) {_FOUND}"""


def search(store: Store, text: str, most: int = MOST) -> list[Hit]:
    """Return the newest turns that hold every word of ``text`` (or words that begin so), the newest at the end.

    Where no turn does, those that hold the text letter by letter: scripts without spaces, signs, the ends of words.

    Raises:
        StoreError: the store cannot be read.
    """
    words = re.findall(r"\w+", text)
    rows: list[tuple[Any, ...]] = []
    if words:
        rows = store.read(_BY_WORDS, (" ".join(f'"{word}"*' for word in words), most))
    if not rows and text.strip():
        rows = store.read(_BY_LETTERS, {"text": text.strip(), "most": most})
    return [
        Hit(session=name, turn=turn, when=when or "", question=question, excerpt=" ".join(excerpt.split()))
        for name, turn, when, question, excerpt in rows
    ]
