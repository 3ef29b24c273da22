"""Keys that are typed while nobody reads them: not shown in the midst of an answer, and none lost. Knows no command."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_CHUNK = 1 << 16
_UNREAD: Final[list[str]] = []
"""Keys that came while lines were read, and that nobody read: the terminal belongs to the process, and so do they."""


@contextlib.contextmanager
def unechoed() -> Iterator[None]:
    """While entered, the terminal at stdin shows no keys, ``^C`` among them; nothing where there is none of ours."""
    with _terminal_with(local_off=("ECHO",)):
        yield


@contextlib.contextmanager
def keys_kept() -> Iterator[str]:
    """While entered, each key waits as it was typed, unseen, until somebody reads it; yields those typed before.

    The terminal hands over key by key: Enter stays another key than Ctrl-J, a paste may be longer than the 4,095 bytes
    of a terminal's line, Ctrl-D is a key among others, and Ctrl-C drops none. Of the keys typed before, each Ctrl-J was
    an Enter: the terminal had made it one. Ctrl-Z and back (a shell takes the terminal as it likes it) changes nothing.
    """
    with _terminal_with(input_off=("ICRNL",), local_off=("ECHO", "ICANON"), local_on=("NOFLSH",)) as switch:
        if switch is None:
            yield ""
            return
        with _resuming(lambda _number, _frame: switch()):
            yield _as_keys(_waiting(sys.stdin.fileno()))


@contextlib.contextmanager
def lines_read() -> Iterator[bool]:
    """While entered, the terminal is as other programs want it: whole lines, shown as they are typed.

    Yields whether there is one whose keys are ours. Those that are left in the end, of whole lines too, are taken where
    keys are waited for: ``keys_unread`` returns them.
    """
    terminal = _terminal_with(input_on=("ICRNL",), local_on=("ECHO", "ICANON"), local_off=("NOFLSH",))
    try:
        with _resuming(None), terminal as switch:
            yield switch is not None
    finally:
        _keep_unread()


def keys_unread() -> str:
    """Return what was typed for us while another had the terminal, and forget it."""
    keys = "".join(_UNREAD)
    _UNREAD.clear()
    return keys


def _keep_unread() -> None:
    """Take what waits in a terminal that hands over key by key again: of each Enter it has made a Ctrl-J."""
    descriptor = _own_terminal()
    modes = None if descriptor is None else _modes_of(descriptor)
    if descriptor is None or modes is None:
        return
    import termios

    if not modes[3] & termios.ICANON:
        with contextlib.suppress(OSError):  # the window was closed
            _UNREAD.append(_as_keys(_waiting(descriptor)))


def _as_keys(typed: bytes) -> str:
    """Return what was typed into a line as the keys that it was: each line end an Enter, and no Ctrl-D among them."""
    return typed.decode(errors="replace").replace("\n", "\r").replace("\0", "")


@contextlib.contextmanager
def _resuming(handler: Callable[[int, FrameType | None], None] | None) -> Iterator[None]:
    """While entered, have ``handler`` called when the program comes back from Ctrl-Z; None: nobody."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGCONT, handler or signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCONT, before)


@contextlib.contextmanager
def _terminal_with(
    *,
    input_on: tuple[str, ...] = (),
    input_off: tuple[str, ...] = (),
    local_on: tuple[str, ...] = (),
    local_off: tuple[str, ...] = (),
) -> Iterator[Callable[[], None] | None]:
    """Switch modes of the terminal at stdin (termios(3)) while entered; yield what does so again, None without one.

    It never fails: where the window was closed, SIGCONT follows SIGHUP, and an error then would come in the midst of
    whatever puts things right.
    """
    descriptor = _own_terminal()
    before = None if descriptor is None else _modes_of(descriptor)
    if descriptor is None or before is None:
        yield None
        return
    import termios

    def bits(names: tuple[str, ...]) -> int:
        return sum(getattr(termios, name) for name in names)

    modes = [*before]
    modes[0] = before[0] & ~bits(input_off) | bits(input_on)
    modes[3] = before[3] & ~bits(local_off) | bits(local_on)
    switch = functools.partial(_switch, descriptor, modes)
    switch()
    try:
        yield switch
    finally:
        _switch(descriptor, before)


def _modes_of(descriptor: int) -> list[Any] | None:
    """Return the modes of a terminal; None where it is gone."""
    import termios

    try:
        return termios.tcgetattr(descriptor)
    except termios.error:
        return None


def _switch(descriptor: int, modes: list[Any]) -> None:
    """Give a terminal its modes, if it is still there."""
    import termios

    with contextlib.suppress(termios.error):
        termios.tcsetattr(descriptor, termios.TCSANOW, modes)


def _waiting(descriptor: int) -> bytes:
    """Return what was typed and not read yet."""
    data = b""
    while select.select([descriptor], [], [], 0)[0] and (more := os.read(descriptor, _CHUNK)):
        data += more
    return data


def _own_terminal() -> int | None:
    """Return stdin where it is a terminal whose keys are ours: a background job that touched it would be stopped."""
    if sys.platform == "win32" or sys.stdin is None:
        return None
    try:
        descriptor = sys.stdin.fileno()
        return descriptor if os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except (OSError, ValueError):
        return None
