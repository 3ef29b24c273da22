"""A text in the user's own editor: a private file, there as long as the editor runs. Knows no chat."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from mistral_cli.errors import MistralError, UsageError
from mistral_cli.ui.echo import lines_read


def edit(text: str, *, suffix: str = ".txt") -> str:
    """Return ``text`` as the user left it in ``$VISUAL`` or ``$EDITOR`` (vi), without the line end editors add.

    Raises:
        UsageError: there is no such program.
        MistralError: the editor failed; nothing is to be done then.
    """
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory() as folder:  # 0700: nobody else reads it
        path = Path(folder) / f"text{suffix}"
        path.write_bytes(text.encode())
        try:
            with lines_read():
                code = subprocess.run([*command, str(path)], check=False).returncode
        except OSError as error:
            raise UsageError(f"The editor {command[0]} cannot be run: {error.strerror}.", "Set EDITOR.") from error
        if code:
            raise MistralError(f"The editor {command[0]} failed ({code}), so nothing was done.")
        return path.read_bytes().decode(errors="replace").removesuffix("\n")
