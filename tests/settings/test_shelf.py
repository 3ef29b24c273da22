"""Where roles and templates lie, and which names lead to one."""

from __future__ import annotations

import pytest

from mistral_cli.errors import UsageError
from mistral_cli.settings.places import places
from mistral_cli.settings.shelf import Shelf

SHELF = Shelf(kind="role", folder="roles")


def _write(name: str, text: str = "") -> None:
    file = places().config / "roles" / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_the_users_files_and_ours_are_listed_by_their_names() -> None:
    _write("my own one")
    _write("zebra")
    assert SHELF.names() == ["my own one", "reviewer", "zebra"]


def test_a_file_of_the_users_stands_in_front_of_ours() -> None:
    assert not SHELF.is_own("reviewer")
    _write("reviewer", "description = 'mine'")
    assert SHELF.is_own("reviewer")
    assert SHELF.read("reviewer").table == {"description": "mine"}
    assert SHELF.names() == ["reviewer"]


@pytest.mark.parametrize(
    "name",
    ["../../x", "..", "/etc/passwd", "a/b", "a\\b", "CON", "nul", "x" * 300, "😀" * 60, "-rf", "", ".", "a\n", "none"],
)
def test_a_name_that_no_file_may_have_leads_nowhere(name: str) -> None:
    places().config.mkdir(parents=True, exist_ok=True)
    (places().config / "x.toml").write_text("")
    with pytest.raises(UsageError, match="cannot be the name of a role") as caught:
        SHELF.find(name)
    assert len(caught.value.message) < 250


def test_files_whose_names_may_not_be_asked_for_are_not_listed() -> None:
    _write("-rf")
    _write("con")
    _write("a\nb")
    assert SHELF.names() == ["reviewer"]


def test_an_unknown_name_is_told_the_nearest_one() -> None:
    with pytest.raises(
        UsageError, match=r"no role called 'reviever'. Did you mean reviewer\? See `mistral roles list`"
    ):
        SHELF.find("reviever")


def test_an_unknown_name_is_told_where_its_file_would_be() -> None:
    with pytest.raises(UsageError) as caught:
        SHELF.find("poet")
    assert str(places().config / "roles" / "poet.toml") in caught.value.hint


def test_a_file_that_is_not_toml_is_refused_with_its_line() -> None:
    _write("poet", "temperature = 1\nsystem = \n")
    with pytest.raises(UsageError, match=r"poet\.toml:2: not TOML"):
        SHELF.read("poet")
