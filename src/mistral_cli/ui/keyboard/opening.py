"""Which keyboard a terminal gets, and what becomes of keys that are typed while nobody reads. Asks no model."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mistral_cli.ui.echo import keys_kept
from mistral_cli.ui.history import KeptHistory
from mistral_cli.ui.keyboard.plain import PlainKeyboard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mistral_cli.ui.repl import Repl


@contextlib.contextmanager
def keyboard_for(chat: Repl, keys: str) -> Iterator[None]:
    """Let a chat read its lines from the terminal while entered; ``keys`` are ``emacs``'s or ``vi``'s."""
    history = KeptHistory(chat.keeper)
    if not chat.console.out.can_redraw:
        chat.read = _saying(chat, PlainKeyboard(chat.console, history).read)
        yield
        return
    from mistral_cli.ui.keyboard.line import Keyboard

    keyboard = Keyboard(chat, history, keys=keys)
    chat.read, chat.tells_keys = _saying(chat, keyboard.read), True
    with keys_kept() as early, contextlib.closing(keyboard):
        keyboard.type_ahead(early)
        yield


def _saying(chat: Repl, read: Callable[[], str]) -> Callable[[], str]:
    """Return what reads a line, and says after it what could not be kept: before, that would stand in the line."""
    keeper = chat.keeper

    def read_and_say() -> str:
        line = read()
        keeper.say()
        return line

    return read_and_say
