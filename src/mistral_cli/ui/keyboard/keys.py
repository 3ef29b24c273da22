"""What each key does to the line, beside what prompt-toolkit's emacs and vi keys do. ``table.py`` tells people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, emacs_mode, has_completions, has_focus
from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys

from mistral_cli.errors import MistralError
from mistral_cli.ui.editor import edit
from mistral_cli.ui.keyboard.completer import is_asked_for
from mistral_cli.ui.typed import is_command, is_open

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

    from mistral_cli.ui.repl import Repl

_ALT_ENTER: Final = Keys.ControlF24
"""A key that no keyboard has: Alt-Enter would else be Escape, then Enter, and in vi's keys each Escape would wait."""
_ALT_ENTERS: Final = ("\x1b\r", "\x1b\n", "\x1b[27;3;13~", "\x1b[13;3u", "\x1b[27;2;13~", "\x1b[13;2u")
"""What terminals send for it; the last two are Shift-Enter, where they tell it from Enter."""
_INDENT: Final = " " * 4
_ALL: Final = 10**9
_GOES_ON: Final = ("/", "=")
"""A completion that ends so is the beginning of another."""


def bindings(chat: Repl) -> KeyBindings:
    """Return the keys of a chat's line."""
    ANSI_SEQUENCES.update(dict.fromkeys(_ALT_ENTERS, _ALT_ENTER))
    keys = KeyBindings()
    is_typing = has_focus(DEFAULT_BUFFER)

    @keys.add("enter", filter=is_typing)
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if not _takes_choice(buffer):
            _newline_or_send(buffer, sends=not _goes_on(buffer.text, chat))

    @keys.add(_ALT_ENTER, filter=is_typing)
    @keys.add("escape", "enter", filter=is_typing & emacs_mode)
    def _alt_enter(event: KeyPressEvent) -> None:
        _newline_or_send(event.current_buffer, sends=chat.is_multiline)

    @keys.add("c-j", filter=is_typing)
    def _ctrl_j(event: KeyPressEvent) -> None:
        _newline_or_send(event.current_buffer, sends=False)

    @keys.add("c-c", filter=is_typing & Condition(lambda: bool(get_app().current_buffer.text)))
    def _clear(event: KeyPressEvent) -> None:
        _empty(event.current_buffer)

    @keys.add("tab", filter=is_typing)
    def _tab(event: KeyPressEvent) -> None:
        _complete(event.current_buffer)

    @keys.add("escape", filter=is_typing & has_completions, eager=True)
    def _close_choices(event: KeyPressEvent) -> None:
        event.current_buffer.cancel_completion()

    @keys.add("c-x", "c-e", filter=is_typing)
    def _edit(event: KeyPressEvent) -> None:
        _compose(event.current_buffer, chat)

    return keys


def _goes_on(text: str, chat: Repl) -> bool:
    """Tell whether Enter begins a new line: in a block of quotes, and after /multiline, but for a command."""
    if chat.is_multiline:
        return "\n" in text or not is_command(text)
    return is_open(text)


def _newline_or_send(buffer: Buffer, *, sends: bool) -> None:
    if sends:
        buffer.validate_and_handle()
    else:
        buffer.insert_text("\n")


def _takes_choice(buffer: Buffer) -> bool:
    """Take the choice that is marked, if one is; tell whether that was all that Enter was for."""
    state = buffer.complete_state
    if state is None or state.current_completion is None:
        return False
    chosen = state.current_completion.text
    buffer.complete_state = None
    if is_command(buffer.text) and not chosen.endswith(_GOES_ON):
        return False
    if chosen.endswith(_GOES_ON):
        buffer.start_completion()
    return True


def _complete(buffer: Buffer) -> None:
    """Complete what can be, or go to the next choice; in prose, indent."""
    if not is_asked_for(buffer.document.text_before_cursor):
        buffer.insert_text(_INDENT)
        return
    choices = list(buffer.completer.get_completions(buffer.document, CompleteEvent(completion_requested=True)))
    if len(choices) == 1:
        buffer.apply_completion(choices[0])
        if choices[0].text.endswith(_GOES_ON):
            buffer.start_completion()
    elif buffer.complete_state is not None:
        buffer.complete_next()
    else:
        buffer.start_completion(insert_common_part=True)


def _empty(buffer: Buffer) -> None:
    """Clear the line; undo brings it back, and the arrow keys begin at the newest one again."""
    buffer.complete_state = None
    buffer.history_forward(count=_ALL)
    buffer.document = Document()


def _compose(buffer: Buffer, chat: Repl) -> None:
    """Open the line in the user's editor."""

    def run() -> None:
        try:
            text = edit(buffer.text, suffix=".md")
        except MistralError as error:
            chat.console.error(error)
            return
        buffer.document = Document(text)

    run_in_terminal(run)
