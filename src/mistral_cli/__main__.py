"""The ``mistral`` command, and ``python -m mistral_cli``: settles Ctrl-C, then imports the program. Knows the roof.

Where a shell asks for names to complete with, nothing but those is imported.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the program. Ctrl-C while it is still being imported ends it as the signal does: at once, without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if source := os.environ.get("_MISTRAL_COMPLETE"):
        from mistral_cli.commands.completion import names  # noqa: PLC0415 (a press of TAB pays for nothing else)

        names.main(source, sys.argv[1:])
        sys.exit()
    from mistral_cli import cli  # noqa: PLC0415 (after Ctrl-C is settled: typer takes a tenth of a second)

    cli.main()


if __name__ == "__main__":
    main()
