"""Text of which some parts are marked: by colour, by a line under it, or in words where a stream has neither."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mistral_cli.text.sanitize import sanitize
from mistral_cli.ui.wrap import Wrapper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistral_cli.ui.console import Stream

_COLORED = {True: "32", False: "2"}
_UNDERLINED = {True: "4", False: ""}


def marked(parts: Sequence[tuple[str, bool]], stream: Stream, words: tuple[str, str]) -> str:
    """Return the parts as they are to be written to a stream: made safe for a terminal, wrapped at its words.

    Args:
        parts: text (untrusted), and whether it is marked.
        stream: a terminal shows marked parts in colour, or underlined where colour is not wanted; anything else gets a
            line for each part, its text as JSON has it.
        words: what such a line begins with, for a part that is not marked and one that is.
    """
    if not (stream.color or stream.can_redraw):
        width = max(map(len, words))
        lines = (f"{words[mark]:{width}}  {json.dumps(text, ensure_ascii=False)}" for text, mark in parts)
        return "\n".join(sanitize(line) if stream.is_terminal else line for line in lines)
    styles = _COLORED if stream.color else _UNDERLINED
    wrapper, columns = Wrapper(can_redraw=False), stream.columns
    shown = [
        wrapper.push(stream.safe(text), columns, lambda piece, style=styles[mark]: _styled(piece, style))  # type: ignore[misc]
        for text, mark in parts
    ]
    return "".join(shown) + wrapper.finish()


def _styled(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if style and text else text
