"""Completion on the screen: what is offered with its description, and what Tab, Enter and Escape do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typist import DOWN, ENTER, ESCAPE, TAB, shows, typist

from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import open_store
from mistral_cli.ui.keyboard.completer import is_asked_for

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notes.md").write_text("notes")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a b.py").write_text("x")
    (tmp_path / "src" / "bell\x07.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_are_offered_with_what_they_do() -> None:
    with typist() as person:
        shown = person.screen("/s", shows("Set a sampling parameter"))
        assert any(row.split()[:2] == ["/system", "Show"] for row in shown)
        assert not any("/help" in row for row in shown)


def test_tab_goes_from_choice_to_choice_and_enter_sends_the_command() -> None:
    with typist() as person:
        assert person.type("/f", shows("/fork"), TAB, TAB, ENTER) in ("/file", "/fork")


def test_the_only_choice_is_taken_at_tab() -> None:
    with typist() as person:
        assert person.type("/mult", TAB, ENTER) == "/multiline"


def test_an_argument_is_offered_with_its_range() -> None:
    with typist() as person:
        shown = person.screen("/set temp", shows("0 to 100"))
        assert any("temperature" in row and "0.7 now; 0 to 100" in row for row in shown)


def test_a_parameter_of_retry_is_completed_up_to_its_value() -> None:
    with typist() as person:
        assert person.type("/retry temp", TAB, "0.2", ENTER) == "/retry temperature=0.2"


def test_kept_chats_are_offered_by_name(tmp_path: Path) -> None:
    store = open_store(tmp_path / "chats.db")
    store.new_session("rivers-of-france")
    with typist(keeper=Keeper(store=store)) as person:
        assert person.type("/open france", TAB, ENTER) == "/open rivers-of-france"
    store.close()


def test_nothing_is_offered_where_the_store_cannot_be_read(tmp_path: Path) -> None:
    store = open_store(tmp_path / "chats.db")
    store.close()
    with typist() as person:
        person.chat.keeper.store = store
        assert person.type("/open x", TAB, ENTER) == "/open x"


def test_files_are_offered_after_an_at_sign_and_enter_takes_one_without_sending(folder: Path) -> None:
    with typist() as person:
        shown = person.screen("see @", shows("src/"))
        assert any("notes.md" in row and "5 bytes" in row for row in shown)
        assert person.type("see @", shows("src/"), DOWN, ENTER, " please", ENTER) == "see @notes.md please"


def test_a_folder_is_gone_into_at_once(folder: Path) -> None:
    with typist() as person:
        assert person.type("see @s", TAB, shows("a b.py"), TAB, ENTER) == 'see @"src/a b.py"'


def test_choices_go_at_escape_and_the_line_stays() -> None:
    with typist() as person:
        shown = person.screen(
            "/he", shows("Show the commands, or the keys"), ESCAPE, lambda person: not shows("Show the")(person)
        )
        assert shown[0] == "> /he"
        assert person.text == "/he"


def test_prose_is_not_completed() -> None:
    assert not any(map(is_asked_for, ("", "word", "a/b", "me@example", "//etc", "one\n/two", "/pipe ls", "/nope x")))
    assert all(map(is_asked_for, ("/", "/he", "/set x", "/write! a", "see @", "one\n@no")))


@pytest.mark.parametrize(("columns", "rows"), [(40, 12), (20, 8), (20, 4), (12, 3)])
def test_choices_fit_small_screens_or_are_left_out(columns: int, rows: int) -> None:
    with typist(columns=columns, rows=rows) as person:
        shown = person.screen("/s", TAB)
        assert shown[0].startswith("> /s")
        assert not any("too small" in row for row in shown)
