"""The keys are told where people look: /help keys, the help of chat, the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from chats import out, typed

from fakes import FakeBackend
from mistral_cli.commands.chat import chat
from mistral_cli.ui.keyboard.table import KEYS

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("columns", [100, 40, 20])
def test_help_keys_tells_every_key_and_fits(columns: int) -> None:
    shown = out(typed("/help keys", backend=FakeBackend(), columns=columns))
    words = " ".join(shown.split())
    assert all(key.names in words for key in KEYS)
    assert columns < 100 or all(key.what.split(";")[0] in words for key in KEYS)
    assert max(map(len, shown.splitlines())) < columns


def test_the_readme_has_the_same_table() -> None:
    rows = [row for line in README.read_text().splitlines() if (row := re.fullmatch(r"\| (.+?) \| (.+?) \|", line))]
    table = {row[1].replace("`", ""): row[2].replace("`", "") for row in rows}
    assert {key.names: key.what for key in KEYS}.items() <= table.items()


def test_the_help_of_chat_names_the_keys_that_nobody_guesses() -> None:
    assert chat.__doc__ is not None
    named = (
        "/help keys",
        "Enter",
        "Alt-Enter",
        "Ctrl-J",
        "Tab",
        "@FILE",
        "Ctrl-R",
        "Ctrl-X Ctrl-E",
        "Ctrl-C",
        "Ctrl-D",
    )
    assert all(name in chat.__doc__ for name in named)
