"""Another program in front of ours, at the same terminal, until it ends. Knows no chat."""

from __future__ import annotations

import contextlib
import errno
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

from mistral_cli.ui.echo import lines_read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def run_in_front(command: Sequence[str], *, data: bytes | None = None) -> int:
    """Run a program; where the terminal is ours it has it as it likes it, and Ctrl-C is its own, as in a shell.

    Args:
        command: the program and its arguments.
        data: what it reads from stdin; None: what we would.

    Returns:
        its exit code; less than 0, a signal's number, where that ended it.

    Raises:
        OSError: it cannot be run.
    """
    with lines_read() as is_ours, _deaf_to_ctrl_c() if is_ours else contextlib.nullcontext():
        try:
            return subprocess.run(command, input=data, check=False).returncode
        except ValueError as error:
            raise OSError(errno.EINVAL, f"{error}") from error  # a NUL among its words


def how_it_ended(code: int) -> str:
    """Return the code of a program that did not end well, or the signal: ``3``, ``signal 9, Killed``."""
    return f"{code}" if code >= 0 else f"signal {-code}, {signal.strsignal(-code)}"


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """While entered, take no note of Ctrl-C; a program that is begun meanwhile gets it as ever.

    A terminal sends it to both of us, and an editor or a pager lives on after it. A handler that does nothing is not
    inherited, as ignoring it would be; a loop of asyncio, woken through its pipe, would call its own handler later.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    pipe = signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        signal.set_wakeup_fd(pipe)
