"""The shells that people have, with the shipped completion in them: typed at, TAB pressed, read back."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pexpect
import pytest
from processes import DEADLINE, kill

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parents[2]
_ESCAPES: Final = re.compile(
    r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][0-9A-Za-z]|[=>78DEHM])|[\x07\x0f]"
)
_BEGIN: Final = {
    "bash": (
        ["--norc", "--noprofile", "-i"],
        r"""PS1='$ '; PS2=; unset HISTFILE; set +o history +H
bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'
bind 'set completion-query-items 0'; bind 'set page-completions off'
bind -x '"\C-xl": printf "<<%s>>\n" "$READLINE_LINE"'
""",
    ),
    "zsh": (
        ["-f", "-i"],
        r"""PS1='$ '; PS2=; RPS1=; unset HISTFILE; LISTMAX=10000; setopt NO_BEEP NO_LIST_BEEP; unsetopt PROMPT_SP
show-line() { print -r -- "<<$BUFFER>>" }; zle -N show-line; bindkey '^Xl' show-line; bindkey '^U' kill-whole-line
zstyle ':completion:*' list-packed no
""",
    ),
    "fish": (
        ["--no-config", "-i"],
        r"""function fish_prompt; printf '$ '; end; function fish_greeting; end; set -g fish_autosuggestion_enabled 0
bind \cxl 'printf "<<%s>>\n" (commandline -b)'; bind \cu kill-whole-line
""",
    ),
}
"""Shell -> its arguments, and what makes it quiet and lets Ctrl-X l print the line that is being typed."""
_LOAD: Final = {"bash": 'eval "$(mistral completions bash)"', "zsh": 'eval "$(mistral completions zsh)"'}
_LOAD["fish"] = "mistral completions fish | source"


def needed(program: str) -> str:
    """Return where a program is; a test that needs one that is not here fails, and says how to get it."""
    found = shutil.which(program)
    if found is None:
        pytest.fail(f"{program} is not installed, and this test drives it: apt-get install {program}", pytrace=False)
    return found


class Shell:
    """One interactive shell in a terminal of its own."""

    def __init__(self, name: str, home: Path, *, before: Sequence[str] = (), load: str | None = None) -> None:
        arguments, begin = _BEGIN[name]
        self.name = name
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("COMP_", "BASH", "ZSH", "FISH"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8", "INPUTRC": os.devnull}
        self._terminal = pexpect.spawn(
            needed(name), arguments, cwd=home, env=kept | own, encoding="utf-8", dimensions=(200, 160), timeout=DEADLINE
        )
        self._terminal.delaybeforesend = None
        self._number = 0
        for line in (*begin.strip().splitlines(), *before, load or _LOAD[name]):
            self.run(line)

    def enter(self, folder: Path) -> None:
        """Go to a folder, with the settings of this test."""
        for name in ("MISTRAL_CLI_HOME", "HF_HOME"):
            self.run(f"export {name}='{os.environ[name]}'")
        self.run(f"cd '{folder}'")

    def close(self) -> None:
        kill(self._terminal)

    def run(self, line: str) -> str:
        """Run a line; return what it printed."""
        self._number += 1
        mark = f"done-{self._number}."
        self._terminal.sendline(f"{line}\recho {mark[:4]}'{mark[4:]}'")
        self._terminal.expect_exact(mark)
        return self._text()

    def press(self, typed: str) -> tuple[str, str]:
        """Type, press TAB; return the line as it is then, and all that the terminal was sent."""
        self._terminal.send("\x15" + typed + "\t\x18l")
        self._terminal.expect(r"<<([^\r\n]*)>>\r?\n")
        line, shown = self._terminal.match[1], self._text()
        self._terminal.send("\x15")
        return line, shown

    def completed(self, typed: str) -> str:
        """Return the line after TAB, without what the shell takes back when the next word is typed."""
        line = self.press(typed)[0].removesuffix(" ")
        return line.removesuffix("=") if self.name == "zsh" and not typed.endswith("--set ") else line

    def words(self, typed: str) -> list[str]:
        """Return the words of the line after TAB, as the shell understands them."""
        shown = self.run("printf '<%s>\\n' " + self.completed(typed))
        return [word[1:-1] for word in shown.splitlines() if word.startswith("<") and word.endswith(">")]

    def _text(self) -> str:
        return _ESCAPES.sub("", self._terminal.before).replace("\r", "")
