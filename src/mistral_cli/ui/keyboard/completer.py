"""Completion of what is typed in a chat: commands, what follows them, file names after ``@``. Reads no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.completion import Completer, Completion

from mistral_cli.errors import MistralError
from mistral_cli.text.sanitize import sanitize
from mistral_cli.ui.mentions import mention_before
from mistral_cli.ui.paths import names_after
from mistral_cli.ui.slash.choice import Choice
from mistral_cli.ui.slash.table import COMMANDS
from mistral_cli.ui.typed import is_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from mistral_cli.ui.repl import Repl

_ROWS = {row.name: row for row in COMMANDS}


class ChatCompleter(Completer):
    """Offers what the word before the cursor may become."""

    def __init__(self, chat: Repl) -> None:
        self._chat = chat

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:  # noqa: ARG002
        """Yield the choices; none where looking for them fails: nobody asked for an error."""
        try:
            choices = list(self._choices(document.text_before_cursor))
        except (MistralError, OSError):
            return
        for choice in choices:
            text, about = sanitize(choice.text), sanitize(choice.about)
            yield Completion(choice.text, -choice.instead, display=text, display_meta=about or None)

    def _choices(self, before: str) -> Iterable[Choice]:
        if is_command(before):
            name, gap, words = before.partition(" ")
            return self._words(name, words) if gap else self._names(before)
        file = mention_before(before)
        return () if file is None else names_after(file)

    def _names(self, begun: str) -> Iterator[Choice]:
        for row in COMMANDS:
            if row.name.startswith(begun):
                yield Choice(row.name, row.summary, len(begun))

    def _words(self, name: str, words: str) -> Iterable[Choice]:
        row = _ROWS.get(name.removesuffix("!"))
        return () if row is None or row.complete is None else row.complete(self._chat, words)


def is_asked_for(before: str) -> bool:
    """Tell whether completion shows while ``before``, all before the cursor, is typed: not in the midst of prose."""
    if not is_command(before):
        return mention_before(before) is not None
    name, gap, _ = before.partition(" ")
    row = _ROWS.get(name.removesuffix("!"))
    return row.complete is not None if gap and row is not None else not gap and "\n" not in before
