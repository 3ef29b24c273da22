"""What a chat may be called."""

from __future__ import annotations

import pytest

from mistral_cli.chat.names import check_name, title
from mistral_cli.errors import UsageError
from mistral_cli.settings.names import LONGEST


@pytest.mark.parametrize("name", ["a", "Ein Gespräch", "注意力", "v0.3", "x" * LONGEST, "_", "console"])
def test_a_good_name(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", ".", "..", "../../x", "/etc/passwd", "a/b", "a\\b", "C:x", "-rf", ".hidden", "a ", "a.", "a?"),
        *(
            "CON",
            "con.txt",
            "Lpt1",
            "last",
            "LAST",
            "x" * (LONGEST + 1),
            "x" * 300,
            "a\nb",
            "a\x1b[31m",
            "a\u202eb",
            "\0",
        ),
    ],
)
def test_a_bad_name_is_a_wrong_use(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a chat") as caught:
        check_name(name)
    assert caught.value.exit_code == 2
    assert str(caught.value).isascii()


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("What is a KV cache, and why does it grow?", "what-is-a-kv-cache-and"),
        ("../../etc/passwd", "etc-passwd"),
        ("Größe?\n\nmehr", "größe-mehr"),
        ("???", "chat"),
        ("", "chat"),
        ("CON", "chat-con"),
        ("last", "chat-last"),
        ("_x_", "x"),
        ("w" * 300, "w" * 40),
        ("word " * 300, "word-word-word-word-word-word"),
    ],
)
def test_the_first_words_make_a_name_that_is_one(question: str, name: str) -> None:
    assert title(question) == name
    assert check_name(title(question)) == name
