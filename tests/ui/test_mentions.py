"""``@path`` in a message: what goes with it, what stays text, what is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from chats import err, typed

from fakes import FAKE_INFO, FakeBackend
from mistral_cli.errors import ContextError, UsageError
from mistral_cli.ui.mentions import mention_before, with_files
from mistral_cli.ui.stdin import INPUT_LIMIT

if TYPE_CHECKING:
    from pathlib import Path

BIG = FAKE_INFO.__class__(**{name: getattr(FAKE_INFO, name) for name in FAKE_INFO.__slots__} | {"context": 10_000})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notes.md").write_text("one two\n")
    (tmp_path / "a file.txt").write_text("spaces\n")
    (tmp_path / "Makefile").write_text("all:\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "x.py").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def attached(text: str) -> str:
    return with_files(text, lambda _text: None)


def test_the_text_of_a_file_follows_the_message_under_its_name() -> None:
    said: list[str] = []
    assert with_files("See @notes.md", said.append) == "See @notes.md\n\nnotes.md:\n\none two\n"
    assert said == ["notes.md goes with it: 8 characters, 8 bytes."]


@pytest.mark.parametrize(
    "text",
    [
        "@notes.md",
        "(@notes.md)",
        "what of @notes.md?",
        "@notes.md, please",
        "one\n@notes.md\ntwo",
        '@"notes.md"',
        "@'notes.md'",
        "@./notes.md",
        "@~/notes.md",
        "@src/../notes.md.",
    ],
)
def test_a_file_is_named_anywhere_in_a_message(text: str) -> None:
    message = attached(text)
    assert message.startswith(text)
    assert message.endswith(":\n\none two\n")


@pytest.mark.parametrize("name", ['"a file.txt"', "'a file.txt'", r"a\ file.txt"])
def test_names_with_spaces_are_quoted_or_escaped(name: str) -> None:
    assert attached(f"@{name} what?") == f"@{name} what?\n\na file.txt:\n\nspaces\n"


def test_a_name_without_an_ending_is_a_file_where_there_is_one() -> None:
    assert attached("@Makefile").endswith("Makefile:\n\nall:\n")


def test_several_files_follow_in_order_and_each_once() -> None:
    message = attached("@src/x.py and @notes.md, then @src/x.py again")
    assert message.partition("\n\n")[2] == "src/x.py:\n\nx = 1\n\n\nnotes.md:\n\none two\n"


@pytest.mark.parametrize(
    "text",
    [
        "mail me@notes.md",
        "someone@example.com",
        "@somebody said",
        "@angular/core",
        "@app.route('/x')",
        "@pytest.fixture",
        "a @ b",
        "@",
        "@src",
        "`@notes.md`",
        "@" + "x" * 5000,
    ],
)
def test_what_names_no_file_stays_text(text: str) -> None:
    assert attached(text) == text


def test_a_backslash_keeps_an_at_sign_from_naming_a_file() -> None:
    assert attached(r"\@notes.md and \@nobody, a\@b") == r"@notes.md and @nobody, a\@b"


@pytest.mark.parametrize(
    "name", ["missing.md", "./missing", "src/missing", '"no file"', "/nowhere/at/all", "~nobody/x.py"]
)
def test_a_file_that_is_missing_is_said(name: str) -> None:
    with pytest.raises(UsageError, match=r"there is no such file\. \\@ sends it as text"):
        attached(f"see @{name}.")


def test_a_folder_that_is_meant_is_refused() -> None:
    with pytest.raises(UsageError, match=r"@src/ is a folder"):
        attached("@src/")


def test_what_is_no_text_is_refused(folder: Path) -> None:
    (folder / "nul.md").write_bytes(b"a\0b")
    (folder / "latin.md").write_bytes(b"caf\xe9")
    with pytest.raises(UsageError, match="NUL"):
        attached("@nul.md")
    with pytest.raises(UsageError, match=r"not valid UTF-8.*/file latin.md"):
        attached("@latin.md")


def test_what_never_ends_is_not_begun(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for name in ("pipe", "/dev/zero"):
        with pytest.raises(UsageError, match="no file that can be read to its end"):
            attached(f"@{name}")


def test_a_huge_file_is_refused_with_its_size(folder: Path) -> None:
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(INPUT_LIMIT + 1)
    with pytest.raises(ContextError, match="more than 33,554,432 bytes"):
        attached("@huge.txt")


def test_a_file_that_cannot_be_read_is_said() -> None:
    with pytest.raises(UsageError, match="/proc/self/mem"):
        attached("@/proc/self/mem")


def test_a_million_at_signs_are_looked_at_quickly() -> None:
    text = "@a @ " * 200_000
    assert attached(text) == text


def test_a_chat_says_what_went_with_a_question_and_keeps_it_whole() -> None:
    repl = typed("What is in @notes.md?", backend=FakeBackend(info=BIG))
    assert repl.conversation.path()[0].question == "What is in @notes.md?\n\nnotes.md:\n\none two\n"
    assert "notes.md goes with it: 8 characters" in err(repl)


def test_what_cannot_be_asked_stands_in_the_next_line_again() -> None:
    backend = FakeBackend()
    repl = typed("see @missing.md", backend=backend)
    assert repl.draft == "see @missing.md"
    assert "error: @missing.md: there is no such file." in err(repl)
    assert backend.prompts == []
    assert typed("//w " + "w " * 70, backend=FakeBackend()).draft.startswith("//w w")
    assert typed("/nothing", backend=FakeBackend()).draft == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("see @", ""),
        ("see @no", "no"),
        ("(@src/", "src/"),
        ('@"a fi', '"a fi'),
        (r"@a\ fi", r"a\ fi"),
        ("me@no", None),
        ("@no more", None),
        (r"\@no", None),
        ("", None),
    ],
)
def test_the_name_that_is_being_typed_is_found(text: str, name: str | None) -> None:
    assert mention_before(text) == name
