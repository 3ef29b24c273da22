"""A chat whose memory runs out in the middle of an answer."""

from __future__ import annotations

from fakes import FakeBackend, fake_console
from mistral_cli.contract import SamplingParams
from mistral_cli.errors import OutOfMemoryError
from mistral_cli.ui.repl import Repl


def test_what_was_said_when_the_memory_ran_out_is_kept_and_the_chat_goes_on() -> None:
    backend = FakeBackend(answers=["One two three."], fails_after=2, error=OutOfMemoryError("The memory ran out.", ""))
    typed = iter(("one", "/help"))

    def read() -> str:
        line = next(typed, None)
        if line is None:
            raise EOFError
        return line

    repl = Repl(backend=backend, params=SamplingParams(), console=fake_console(terminal=True), read=read)
    repl.run()
    (turn,) = repl.conversation.path()
    assert (turn.answer, turn.ids, turn.reason) == ("One two ", (0, 1), "cancelled")
    assert "The memory ran out." in repl.console.err.file.text
    assert next(typed, None) is None
