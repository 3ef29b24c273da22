"""What completion offers: files, and the words after a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from chats import typed

from fakes import FakeBackend
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import open_store
from mistral_cli.ui.paths import names_after, size_of
from mistral_cli.ui.slash.choice import Choice, matching
from mistral_cli.ui.slash.table import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.ui.repl import Repl


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("notes.md", "Notes.txt", "a file.txt", ".hidden", 'quo"te'):
        (tmp_path / name).write_text("x" * 1234)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "x.py").touch()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def names(typed: str) -> list[str]:
    return [choice.text for choice in names_after(typed)]


def offered(repl: Repl, line: str) -> list[Choice]:
    name, _, words = line.partition(" ")
    (row,) = (row for row in COMMANDS if row.name == name)
    return list(row.complete(repl, words))


def test_files_are_offered_with_their_sizes_and_folders_as_such(folder: Path) -> None:
    assert names_after("")[1:3] == [Choice('"a file.txt"', "1.2 kB", 0), Choice("notes.md", "1.2 kB", 0)]
    assert names_after("s") == [Choice("src/", "folder", 1)]
    assert names("src/") == ["src/x.py"]


def test_hidden_files_are_offered_after_a_dot_only(folder: Path) -> None:
    assert ".hidden" not in names("")
    assert names(".h") == [".hidden"]


def test_names_are_found_in_either_case(folder: Path) -> None:
    assert names("notes") == ["Notes.txt", "notes.md"]


def test_names_with_spaces_and_quotes_are_quoted(folder: Path) -> None:
    assert names("a") == ['"a file.txt"']
    assert names('"a f') == ['"a file.txt"']
    assert names("'a f") == ["'a file.txt'"]
    assert names(r"a\ f") == ['"a file.txt"']
    assert names("qu") == ["'quo\"te'"]


def test_the_home_is_offered_and_looked_into(folder: Path) -> None:
    assert names("~") == ["~/"]
    assert names("~/no") == ["~/Notes.txt", "~/notes.md"]


def test_what_is_nowhere_offers_nothing(folder: Path) -> None:
    assert names("nowhere/") == names("~nobody/") == names("\0/") == names("notes.md/") == []


def test_what_a_folder_got_meanwhile_is_offered(folder: Path) -> None:
    assert names("new") == []
    (folder / "newer").touch()
    assert names("new") == ["newer"]


def test_sizes_are_told_for_people() -> None:
    assert [size_of(count) for count in (1, 999, 1000, 2_340_000, 5 * 10**9)] == [
        "1 byte",
        "999 bytes",
        "1.0 kB",
        "2.3 MB",
        "5.0 GB",
    ]


def test_what_begins_with_the_word_comes_before_what_holds_it() -> None:
    choices = [Choice("abc"), Choice("Bcd"), Choice("x")]
    assert matching("b", choices) == [Choice("Bcd", "", 1), Choice("abc", "", 1)]


def test_parameters_are_offered_with_their_values_and_ranges() -> None:
    repl = typed(backend=FakeBackend())
    assert offered(repl, "/set temp") == [Choice("temperature", "0.7 now; 0 to 100", 4)]
    assert offered(repl, "/set order t")[1] == Choice("temperature-last", "temperature-first or temperature-last", 1)
    assert [choice.text for choice in offered(repl, "/set seed ")] == ["none"]
    assert offered(repl, "/retry seed=1 temp") == [Choice("temperature=", "0.7 now; 0 to 100", 4)]
    assert offered(repl, "/retry order=x-l") == []
    assert [choice.text for choice in offered(repl, "/retry order=l")] == ["temperature-last"]
    assert offered(repl, "/set nothing x") == []


def test_turns_branches_and_code_are_offered_by_number() -> None:
    backend = FakeBackend(answers=["A.", "B.", "See:\n```\nx = 1\n```\n"])
    repl = typed("one", "two", "/fork 1", "other", backend=backend)
    assert offered(repl, "/edit ") == [Choice("1", "one", 0), Choice("2", "other", 0)]
    assert offered(repl, "/fork 2") == [Choice("2", "other", 1)]
    assert [choice.about[:9] for choice in offered(repl, "/switch ")] == ["two → B.", "other → S"]
    assert offered(repl, "/copy ") == [Choice("1", "x = 1", 0)]


def test_likely_tokens_are_offered_where_the_answer_was_rewound() -> None:
    repl = typed("one", "/back 1", backend=FakeBackend(alternatives=["foe."]))
    assert [choice.about for choice in offered(repl, "/alt ")] == ["60.7%  'friend.'", "22.3%  'foe.'"]
    assert offered(typed("one", backend=FakeBackend()), "/alt ") == []


def test_models_are_those_on_the_disk() -> None:
    repl = typed(backend=FakeBackend(), models=lambda: ("builtin", "mistralai/Mistral-7B"))
    assert offered(repl, "/model mis") == [Choice("mistralai/Mistral-7B", "", 3)]


def test_commands_are_offered_to_help() -> None:
    assert offered(typed(backend=FakeBackend()), "/help ret")[0].text == "retry"


def test_files_are_offered_where_a_command_takes_one(folder: Path) -> None:
    repl = typed(backend=FakeBackend())
    for line in ("/file no", "/write no", "/write ! no", "/export no"):
        assert [choice.text for choice in offered(repl, line)] == ["Notes.txt", "notes.md"], line
    assert offered(repl, "/file notes.md no") == []
    assert [choice.text for choice in offered(repl, '/file "a f')] == ['"a file.txt"']


def test_chats_are_offered_newest_first_and_the_store_is_read_once_a_line(tmp_path: Path) -> None:
    store = open_store(tmp_path / "chats.db")
    repl = typed("one", "/new", "two", backend=FakeBackend(), keeper=Keeper(store=store))
    choices = offered(repl, "/open ")
    assert [choice.text for choice in choices] == ["two", "one"]
    assert choices[0].about.endswith("1 turn")
    store.close()
    assert [choice.text for choice in offered(repl, "/delete o")] == ["one", "two"]
