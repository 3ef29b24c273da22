"""Turns are found by their words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kept import talk

from mistral_cli.chat.search import search
from mistral_cli.chat.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "chats.db")
    talk(store, "rotary position embedding", "Größe der Einbettung", name="first")
    talk(store, "the position of a comma", "注意力机制是什么", "a < b && c", name="second")
    yield store
    store.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("position", ["rotary position embedding", "the position of a comma"]),
        ("POSITION rotary", ["rotary position embedding"]),
        ("embed", ["rotary position embedding"]),
        ("grosse", []),
        ("grÖße", ["Größe der Einbettung"]),
        ("机制", ["注意力机制是什么"]),
        ("&&", ["a < b && c"]),
        ("tary pos", ["rotary position embedding"]),
        ('" OR NEAR(* -', []),
        ("", []),
    ],
)
def test_what_is_found(store: Store, text: str, found: list[str]) -> None:
    assert [hit.question for hit in search(store, text)] == found


def test_a_hit_tells_where_it_stands_with_the_words_around_it(store: Store) -> None:
    hit = search(store, "rotary")[0]
    assert (hit.session, hit.turn) == ("first", 1)
    assert "rotary position" in hit.excerpt


def test_the_newest_are_kept_where_there_are_more_than_wanted(store: Store) -> None:
    assert [hit.session for hit in search(store, "position", 1)] == ["second"]
