"""Text to the clipboard: by the desktop's own tool, or by asking the terminal (OSC 52), which works over ssh too."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from mistral_cli.errors import MistralError

if TYPE_CHECKING:
    from mistral_cli.ui.console import Console

LIMIT = 74_994
"""Bytes that every terminal with OSC 52 takes: 100,000 of base64, less the frame."""
_TOOLS = (
    ("darwin", "", ("pbcopy",)),
    ("win32", "", ("clip",)),
    ("linux", "WAYLAND_DISPLAY", ("wl-copy",)),
    ("linux", "DISPLAY", ("xclip", "-selection", "clipboard")),
    ("linux", "DISPLAY", ("xsel", "--clipboard", "--input")),
)
"""Platform, a variable that must be set, the tool."""


def copy(text: str, console: Console) -> str:
    """Copy ``text``; return by what.

    Raises:
        MistralError: there is no tool, and no terminal that could be asked.
    """
    data = text.encode("utf-8", "replace")
    for platform, variable, command in _TOOLS:
        if sys.platform == platform and (not variable or os.environ.get(variable)) and shutil.which(command[0]):
            quiet = subprocess.DEVNULL  # these tools stay behind and would hold our streams open
            if subprocess.run(command, input=data, stdout=quiet, stderr=quiet, check=False).returncode == 0:
                return command[0]
    if not console.out.can_redraw:
        raise MistralError("There is no clipboard here.", "/write FILE keeps the answer.")
    if len(data) > LIMIT:
        raise MistralError(f"The terminal takes {LIMIT:,} bytes, and this has {len(data):,}.", "/write FILE keeps it.")
    sequence = f"\x1b]52;c;{base64.b64encode(data).decode()}\x07"
    if "TMUX" in os.environ:
        sequence = "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    console.rendered(sequence)
    return "asked the terminal"
