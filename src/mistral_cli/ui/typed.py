'''What was typed: a command or a question, and ``"""`` blocks, which are questions of several lines as they stand.'''

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

QUOTES: Final = '"""'


def is_open(text: str) -> bool:
    """Tell whether ``text`` begins a block of three quotes that does not end in it."""
    return text.lstrip().startswith(QUOTES) and text.count(QUOTES) % 2 == 1


def read_whole(line: str, read: Callable[[], str]) -> str:
    """Return ``line`` with those after it that belong to the block it begins.

    Raises:
        EOFError, KeyboardInterrupt: as ``read``.
    """
    lines = [line]
    is_inside = is_open(line)
    while is_inside:
        lines.append(read())
        is_inside ^= lines[-1].count(QUOTES) % 2 == 1
    return "\n".join(lines)


def block(text: str) -> str | None:
    """Return what stands in the block that ``text`` is, without the line ends at its quotes; None where it is none."""
    inner = text.strip()
    if len(inner) < 2 * len(QUOTES) or not (inner.startswith(QUOTES) and inner.endswith(QUOTES)) or is_open(text):
        return None
    return inner[len(QUOTES) : -len(QUOTES)].removeprefix("\n").removesuffix("\n")


def is_command(text: str) -> bool:
    """Tell whether ``text`` is a command; two slashes are one that is sent."""
    return text.startswith("/") and not text.startswith("//")


def question_of(text: str) -> str:
    """Return the question that ``text`` is, if it is no command."""
    inner = block(text)
    if inner is not None:
        return inner
    return text.removeprefix("/") if text.startswith("//") else text
