"""The ``mistral`` command, and ``python -m mistral_cli``: settles Ctrl-C, then imports the program. Knows the roof."""

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the program. Ctrl-C while it is still being imported ends it as the signal does: at once, without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mistral_cli import cli  # noqa: PLC0415 (after Ctrl-C is settled: typer takes a tenth of a second)

    cli.main()


if __name__ == "__main__":
    main()
