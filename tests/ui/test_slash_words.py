"""Whatever words follow a command: it is done or refused in a short line, and the chat goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from chats import out, typed

from fakes import FAKE_INFO, FakeBackend
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import open_store
from mistral_cli.errors import UsageError
from mistral_cli.ui.slash import sessions
from mistral_cli.ui.slash.row import whole_number
from mistral_cli.ui.slash.table import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

LONGEST: Final = 700
"""Characters of what is said of one line, at most."""
WORDS: Final = (
    *("", "0", "2", "-1", "1.5", "nan", "9" * 5000, "0" * 12 + "19", "٣"),
    *('"', "'", '""', '"x', "'x'", "\\", "don't", "[bold]", "%s{}", "\x1b[31m", "\u202e", "💥"),
    *("a\nb", "a\0b", "a\0b.md", "x" * 300, "x" * 300 + ".md", "x" * 5000, "x" * 200_000, "é" * 200 + ".md"),
    *("/", ".", "..", "~", "~nobody-of-that-name/x.md", "../../x", "-rf", "CON", "*", "nowhere/x.md", "/dev/full"),
    *("last", "none", "all", "on", "!", "! x.md", "load", "load nowhere", "load x y z", "off x", "scale x nan"),
    *("=", "a=b", "temperature", "temperature=nan", "temperature 1e999", "seed " + "9" * 500, "stop=", "logit_bias 1="),
    *("AND", "OR NOT", '"a" NEAR', "(", "a:b", "^"),
)


@pytest.mark.parametrize("command", [row.name for row in COMMANDS if row.name != "/help"])
def test_no_words_end_a_chat(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("EDITOR", "false"), ("SHELL", "/bin/true")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("VISUAL", raising=False)
    words = WORDS[1:] if command in ("/exit", "/multiline") else WORDS  # these two do what they are for
    lines = [line for word in words for line in ("one", f"{command} {word}".strip())]
    is_about_chats = command in [row.name for row in sessions.COMMANDS]
    keeper = Keeper(store=open_store(tmp_path / "chats.db")) if is_about_chats else Keeper()
    backend = FakeBackend(info=replace(FAKE_INFO, context=10**6))
    repl = typed(*lines, '/system "still here"', "/system", backend=backend, keeper=keeper, columns=10**6)
    assert out(repl).endswith("still here\n")
    assert max(map(len, repl.console.err.file.text.split("\n"))) < LONGEST


def test_zeros_before_a_number_are_no_part_of_it() -> None:
    assert whole_number("0" * 20 + "7", "turn", 19) == 7
    for words in ("0" * 12 + "20", "9" * 5000, "00", "x", ""):
        with pytest.raises(UsageError):
            whole_number(words, "turn", 19)
