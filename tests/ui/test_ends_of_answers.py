"""How answers end that say nothing, that fill the context, that go round in circles: said, kept, gone on from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from chats import answers, err, out, typed

from fakes import FakeBackend
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import open_store
from mistral_cli.chat.transcript import to_json, to_markdown

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.chat.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "chats.db")


def kept(store: Store) -> list[tuple[str, str]]:
    """Return the answers of the last chat as they lie on the disk, each with why it ended."""
    return [(turn.answer, turn.reason) for turn in store.load("last")[1].path()]


def test_an_answer_that_ends_at_once_is_said_and_leaves_nothing_and_the_next_turn_works(store: Store) -> None:
    repl = typed("one", backend=FakeBackend(answers=[[]]), keeper=Keeper(store=store))
    assert err(repl) == "(empty answer)"
    assert store.sessions() == []
    repl = typed("one", "two", backend=FakeBackend(answers=[[], "Now."]), keeper=Keeper(store=store))
    assert kept(store) == [("Now.", "stop")]
    assert repl.backend.prompts[1][-1].content == "two"


def test_a_context_that_is_full_in_an_answer_is_said_and_the_answer_kept_with_its_mark(store: Store) -> None:
    repl = typed("count", backend=FakeBackend(answers=[["x "] * 99]), keeper=Keeper(store=store))
    assert "(the answer ends here: the context of 64 tokens is full)" in err(repl)
    assert kept(store) == [("x " * 63, "length")]


def test_the_last_answer_of_a_full_context_that_has_no_older_turns_cannot_go_on_and_says_so() -> None:
    repl = typed("count", "/continue", backend=FakeBackend(answers=[["x "] * 99]))
    assert answers(repl) == ["x " * 63]
    assert "/continue" not in err(repl).split("error")[0]


def looping(store: Store, *lines: str):
    return typed("count", *lines, backend=FakeBackend(answers=["la la la"], ends="loop"), keeper=Keeper(store=store))


def test_a_loop_is_said_with_what_can_be_done_and_nothing_is_cut(store: Store) -> None:
    repl = looping(store)
    assert "(stopped: it repeated itself; /retry repetition_penalty=1.3 answers again, /continue goes on)" in err(repl)
    assert out(repl) == "la la la\n\n"
    assert kept(store) == [("la la la", "loop")]


def test_what_is_offered_after_a_loop_works(store: Store) -> None:
    repl = looping(store, "/retry repetition_penalty=1.3", "/continue")
    assert repl.backend.params[1].repetition_penalty == 1.3
    assert repl.backend.prompts[2][-1].prefix
    assert "error" not in err(repl)


def test_history_and_exports_tell_why_it_ended(store: Store) -> None:
    repl = looping(store, "/stats", "/show 1")
    assert '"reason": "loop"' in to_json(repl.conversation)
    assert "*(stopped: it repeated itself)*" in to_markdown(repl.conversation)
    assert "ended by loop" in " ".join(out(repl).split())
    assert err(repl).endswith("(stopped: it repeated itself)")


def test_the_watchdog_can_be_called_off_and_on() -> None:
    backend = FakeBackend(answers=["a"])
    repl = typed(
        "/set watchdog on", "/set watchdog", "one", "/set watchdog off", "/set watchdog", "two", backend=backend
    )
    assert [params.watchdog for params in backend.params] == [True, False]
    assert [line.split()[1] for line in out(repl).splitlines() if line.startswith("watchdog")] == [
        "on",
        "on",
        "off",
        "off",
    ]
