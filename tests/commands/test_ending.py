"""A signal that tells the program to end is not lost in a library."""

from __future__ import annotations

import os
import signal

import pytest

from mistral_cli.commands.ending import ENDING, Ending, unwinding_on_ctrl_c


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit), (signal.SIGHUP, SystemExit)]
)
def test_what_a_library_swallowed_is_raised_again(number: int, error: type[BaseException]) -> None:
    ending = Ending()
    ending.check()
    with pytest.raises(error):
        ending.strike(number, None)
    with pytest.raises(error) as again:
        ending.check()
    assert error is KeyboardInterrupt or again.value.code == 128 + number


def test_ctrl_c_unwinds_the_block_and_is_what_it_was_before_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ENDING, "number", None)  # and so again in the end
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), unwinding_on_ctrl_c():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
