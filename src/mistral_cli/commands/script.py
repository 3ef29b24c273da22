"""The lines of ``mistral chat --script``, one after the other, as a keyboard would give them. Knows no chat."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mistral_cli.errors import ContextError
from mistral_cli.ui.console import Console
from mistral_cli.ui.stdin import Stdin, read_file


def open_script(name: str, stdin: Stdin, console: Console) -> Callable[[], str]:
    """Return what reads the next line of the file ``name``, of stdin for ``-``; at the end it raises EOFError.

    Raises:
        UsageError: the file cannot be read.
        ContextError: it is larger than any context.
    """
    lines = _typed(stdin, console) if name == "-" else iter(read_file(name, console.warning).split("\n"))

    def read() -> str:
        line = next(lines, None)
        if line is None:
            raise EOFError
        return line.removesuffix("\r")

    return read


def _typed(stdin: Stdin, console: Console) -> Iterator[str]:
    """Yield the lines of stdin as they come: the next one may depend on the answer to the last."""
    for line in stdin.lines(lambda: console.notice("Waiting for stdin …"), console.warning):
        if isinstance(line, ContextError):
            raise line
        yield line or ""
