"""A text in the user's own editor: a private file, there as long as the editor runs. Knows no chat."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from pathlib import Path

from mistral_cli.errors import MistralError, UsageError
from mistral_cli.ui.in_front import how_it_ended, run_in_front

_USUAL = ("sensible-editor", "editor", "nano", "vi")
"""What is taken where neither ``$VISUAL`` nor ``$EDITOR`` says: the first that is there."""
_PLACE = "TMPDIR names the folder."


def edit(text: str, *, suffix: str = ".txt") -> str:
    """Return ``text`` as the user left it in an editor, without the line end editors add.

    Raises:
        UsageError: there is no such program.
        MistralError: the editor failed, or its file cannot be written or read; nothing is to be done then.
    """
    command = _command()
    try:
        with tempfile.TemporaryDirectory() as folder:  # 0700: nobody else reads it
            path = Path(folder) / f"text{suffix}"
            path.write_bytes(text.encode())
            _run(command, path)
            return path.read_bytes().decode(errors="replace").removesuffix("\n")
    except OSError as error:
        raise MistralError(f"The text for the editor cannot be kept in a file: {error.strerror}.", _PLACE) from error


def _run(command: list[str], path: Path) -> None:
    try:
        code = run_in_front([*command, str(path)])
    except OSError as error:
        raise UsageError(f"The editor {command[0]} cannot be run: {error.strerror}.", "Set EDITOR.") from error
    if code:
        raise MistralError(f"The editor {command[0]} failed ({how_it_ended(code)}), so nothing was done.")


def _command() -> list[str]:
    """Return the user's editor with its arguments.

    Raises:
        UsageError: none is named and none is there, or what is named is no command.
    """
    name = next((name for name in ("VISUAL", "EDITOR") if os.environ.get(name, "").strip()), None)
    if name is None:
        found = next((editor for editor in _USUAL if shutil.which(editor)), None)
        if found is None:
            raise UsageError("There is no editor here.", "Set EDITOR.")
        return [found]
    try:
        return shlex.split(os.environ[name])
    except ValueError as error:
        raise UsageError(f"{name} is {os.environ[name]!r:.60}, which is no command: {error}.") from error
