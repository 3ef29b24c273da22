"""The line a person types, with its keys. Knows prompt-toolkit and how a chat stands, and asks nothing itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.cursor_shapes import ModalCursorShapeConfig
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.output import ColorDepth

from mistral_cli.ui.echo import keys_unread
from mistral_cli.ui.keyboard.completer import ChatCompleter, is_asked_for
from mistral_cli.ui.keyboard.display import SafeDisplay, open_screen, style
from mistral_cli.ui.keyboard.keys import bindings
from mistral_cli.ui.keyboard.plain import PROMPT
from mistral_cli.ui.keyboard.search import SearchedBuffer
from mistral_cli.ui.keyboard.strikes import Strikes
from mistral_cli.ui.keyboard.suggestion import EarlierLine
from mistral_cli.ui.keyboard.toolbar import Status, laid_out, status_of
from mistral_cli.ui.typed import is_open

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from prompt_toolkit.application import Application
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.input import Input
    from prompt_toolkit.key_binding import KeyPress
    from prompt_toolkit.output import Output

    from mistral_cli.ui.history import KeptHistory
    from mistral_cli.ui.repl import Repl

_ESCAPE_WAITS: Final = 0.1
"""Seconds after Escape in which what follows is taken as one key with it."""
_MENU: Final = 8
"""Rows kept for choices."""
_LEAST_ROWS: Final = 4
"""Of a screen that has room for the bar."""
_MULTILINE: Final = "multi-line: Alt-Enter sends"
_BLOCK: Final = 'block: """ ends it'


class Keyboard:
    """Reads lines with editing and history; the terminal is as it was whenever nothing is being read."""

    def __init__(
        self,
        chat: Repl,
        history: KeptHistory,
        *,
        keys: str = "emacs",
        source: Input | None = None,
        screen: Output | None = None,
    ) -> None:
        """Open the keyboard.

        Args:
            chat: whose lines these are.
            history: the lines before.
            keys: ``emacs`` or ``vi``.
            source: where the keys come from; None: stdin.
            screen: where the line is shown; None: stdout.
        """
        # A signal that ends the program may strike inside prompt-toolkit's own task, which would log it on the screen
        # as a failure; whoever watches for signals raises it again.
        logging.getLogger("prompt_toolkit").addHandler(logging.NullHandler())
        self._chat = chat
        self._strikes = Strikes()
        self._status = Status(model="", total=1)
        has_color = chat.console.out.color
        self._session: PromptSession[str] = PromptSession(
            [("class:prompt", PROMPT)],
            history=history,
            input=source,
            output=screen or open_screen(),
            color_depth=None if has_color else ColorDepth.DEPTH_1_BIT,
            style=style(has_color=has_color),
            editing_mode=EditingMode.VI if keys == "vi" else EditingMode.EMACS,
            cursor=ModalCursorShapeConfig() if keys == "vi" else None,
            key_bindings=bindings(chat),
            completer=ChatCompleter(chat),
            complete_while_typing=Condition(self._offers),
            auto_suggest=EarlierLine(),
            input_processors=[SafeDisplay()],
            prompt_continuation=lambda _width, _number, is_wrapped: "" if is_wrapped else " " * len(PROMPT),
            enable_suspend=True,
        )
        self._session.default_buffer.__class__ = SearchedBuffer
        self._session.app.ttimeoutlen = _ESCAPE_WAITS
        self._session.app.before_render += lambda _app: self._fit()

    def read(self) -> str:
        """Return the next line.

        Raises:
            EOFError: Ctrl-D, or a terminal that is gone.
            KeyboardInterrupt: Ctrl-C.
        """
        self._status = status_of(self._chat)
        draft, self._chat.draft = self._chat.draft, ""
        self.type_ahead(keys_unread())
        with self._strikes.held():
            try:
                line = self._session.prompt(default=draft, set_exception_handler=False, pre_run=self._prepare)
            finally:
                self._take_pastes_whole()  # prompt-toolkit let go of it, but one may come before the next line
        if self._strikes.take():
            self._chat.draft = line
            raise KeyboardInterrupt
        return line

    def close(self) -> None:
        """Leave the terminal as it was."""
        with contextlib.suppress(OSError):  # the window was closed
            self._session.app.output.disable_bracketed_paste()
            self._session.app.output.flush()

    def type_ahead(self, text: str) -> None:
        """Take keys that were typed before anybody read them."""
        pressed: list[KeyPress] = []
        parser = Vt100Parser(pressed.append)
        parser.feed_and_flush(text)
        store_typeahead(self._session.app.input, pressed)

    def _prepare(self) -> None:
        """Do what has to be done anew for each line, once there is a loop that reads it."""
        _end_on_errors(self._session.app)
        self._strikes.press_in(self._session.app)

    def _take_pastes_whole(self) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone: whoever reads on is told
            self._session.app.output.enable_bracketed_paste()
            self._session.app.output.flush()

    def _offers(self) -> bool:
        """Tell whether choices show while one types: what is typed has some, and the screen has room."""
        document = self._session.default_buffer.document
        return self._session.reserve_space_for_menu > 0 and is_asked_for(document.text_before_cursor)

    def _fit(self) -> None:
        """Fit the menu and the bar to the screen, which may have been resized."""
        rows = self._session.app.output.get_size().rows
        self._session.reserve_space_for_menu = max(min(_MENU, rows - _LEAST_ROWS), 0)
        self._session.bottom_toolbar = self._bar if rows >= _LEAST_ROWS else None

    def _bar(self) -> StyleAndTextTuples:
        columns = self._session.app.output.get_size().columns
        return [*laid_out(self._status.in_modes(self._modes()), columns)]

    def _modes(self) -> list[str]:
        """Return how the next key is taken, where that is not as usual."""
        app, chat = self._session.app, self._chat
        text = self._session.default_buffer.text
        modes = [_MULTILINE] if chat.is_multiline else [_BLOCK] if is_open(text) else []
        if app.editing_mode == EditingMode.VI:
            modes.append(app.vi_state.input_mode.value.removeprefix("vi-"))
        return modes


def _end_on_errors(app: Application[str]) -> None:
    """Let what goes wrong while a line is read end the reading.

    prompt-toolkit would show it and wait for Enter; where the terminal is gone that goes wrong, too, and so on without
    an end.
    """

    def end(_loop: AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException) and app.future is not None and not app.future.done():
            app.exit(exception=EOFError() if isinstance(error, OSError) else error)

    asyncio.get_running_loop().set_exception_handler(end)
