"""Turns are found by their words."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from kept import talk

from mistral_cli.chat.search import search
from mistral_cli.chat.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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


def _filled(path: Path, chats: int) -> Store:
    """Return a store of that many chats, two turns each."""
    store = open_store(path)
    with store.together():
        for number in range(chats):
            talk(store, f"question {number}", f"again {number}", name=f"chat {number}")
    return store


def _steps(store: Store, job: Callable[[Store], object]) -> int:
    """Return how many steps of SQLite's machine ``job`` takes."""
    count = itertools.count()
    with store.together() as database:
        database.set_progress_handler(lambda: next(count) < 0, 1)
    before = next(count)
    job(store)
    return next(count) - before


def test_a_list_costs_the_same_for_every_chat_and_a_search_the_same_among_any_number(tmp_path: Path) -> None:
    few, many = _filled(tmp_path / "few.db", 200), _filled(tmp_path / "many.db", 800)
    listing = [_steps(store, Store.sessions) for store in (few, many)]
    assert listing[1] < 4.1 * listing[0] < 4.1 * 60 * 200
    for words in ("question", "question 177", "again"):
        found = [_steps(store, lambda store, words=words: search(store, words)) for store in (few, many)]
        assert 0 < found[1] < 1.5 * found[0] < 20_000
    few.close()
    many.close()
