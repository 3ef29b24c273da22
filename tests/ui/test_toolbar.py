"""The bar under the line: what it tells, how it gives way, what it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from chats import typed
from typist import CTRL, ENTER, ESCAPE, typist

from fakes import FAKE_INFO, FakeBackend
from mistral_cli.chat.keeper import Keeper
from mistral_cli.chat.store import open_store
from mistral_cli.ui.keyboard.toolbar import Status, laid_out, status_of
from mistral_cli.ui.wrap import cells

FULL = Status(
    model="mistralai/Mistral-7B-Instruct-v0.3",
    form="nf4 · kv int8",
    used=3120,
    total=32768,
    speed=12.34,
    chat="what-is-a-kv-cache",
    modes=("multi-line: Alt-Enter sends", "private"),
)


def bar(status: Status, columns: int) -> str:
    return "".join(text for _style, text in laid_out(status, columns))


def styles(status: Status) -> set[str]:
    return {style for style, _text in laid_out(status, 200) if style}


def test_the_whole_bar_tells_all() -> None:
    assert bar(FULL, 200) == (
        "multi-line: Alt-Enter sends · private · ▰▱▱▱▱▱▱▱ 3,120 of 32,768 tokens · mistralai/Mistral-7B-Instruct-v0.3 "
        "· nf4 · kv int8 · 12.3 tokens/s · what-is-a-kv-cache"
    )


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (80, "▰▱▱▱▱▱▱▱ 3,120 of 32,768 · Mistral-7B-Inst… · nf4 · kv int8 · 12.3 t/s"),
        (40, "▰▱▱▱▱▱▱▱ 10% · Mistral-7B-Inst…"),
        (20, "▰▱▱▱▱▱▱▱ 10%"),
        (12, "▱▱▱▱ 10%"),
        (5, "10%"),
        (3, ""),
    ],
)
def test_what_matters_least_gives_way_first(columns: int, shown: str) -> None:
    assert bar(replace(FULL, modes=()), columns) == shown


@pytest.mark.parametrize("columns", range(1, 160))
def test_the_bar_never_fills_the_row(columns: int) -> None:
    for status in (FULL, replace(FULL, model="模型" * 20, chat="日本語" * 10)):
        assert cells(bar(status, columns)) < max(columns, 2)


def test_the_mode_is_the_last_to_go() -> None:
    assert bar(FULL, 20) == "multi-line · 10%"
    assert bar(FULL, 12) == "multi-line"


@pytest.mark.parametrize(
    ("used", "expected"), [(79, set()), (80, {"class:toolbar.warns"}), (95, {"class:toolbar.full"})]
)
def test_the_gauge_turns_its_colour_as_the_context_fills(used: int, expected: set[str]) -> None:
    assert styles(Status(model="m", used=used, total=100)) == expected


def test_names_of_models_and_chats_cannot_drive_the_terminal() -> None:
    assert bar(Status(model="a\x1b[31m", chat="b\u202e", total=1), 200).endswith("a␛[31m · b<U+202E>")


def test_a_chat_tells_its_last_answer_without_counting() -> None:
    class Uncounted(FakeBackend):
        def count(self, prompt, tools=()) -> int:
            assert not hasattr(self, "is_over")
            return super().count(prompt, tools)

    backend = Uncounted(answers=["One two three."])
    repl = typed("hello", backend=backend)
    backend.is_over = True
    status = status_of(repl)
    assert (status.used, status.total, status.speed, status.modes) == (1 + 3, 64, 40.0, ("private",))


def test_what_another_model_answered_is_counted_anew() -> None:
    other = FakeBackend(info=replace(FAKE_INFO, name="other"))
    repl = typed("one two", "/model other", backend=FakeBackend(answers=["Three four five."]), load=lambda _name: other)
    assert status_of(repl).used == 5


def test_a_new_chat_is_empty_and_a_kept_one_has_its_name(tmp_path) -> None:
    store = open_store(tmp_path / "chats.db")
    repl = typed("what is it", backend=FakeBackend(), keeper=Keeper(store=store))
    assert (status_of(repl).chat, status_of(repl).modes) == ("what-is-it", ())
    store.close()
    assert status_of(typed(backend=FakeBackend())).used == 0


def test_the_bar_stands_under_the_line_and_goes_with_it() -> None:
    with typist(columns=100) as person:
        assert person.screen("one", CTRL["J"], "two")[:3] == [
            "> one",
            "  two",
            "private · ▱▱▱▱▱▱▱▱ 0 of 64 tokens · fake",
        ]
        person.terminal.screen.reset()
        person.type("one", ENTER)
        assert person.rows() == ["> one"]


def test_modes_are_told_while_they_hold() -> None:
    with typist(columns=100, is_multiline=True) as person:
        assert person.screen("x")[1].startswith("multi-line: Alt-Enter sends · private")
    with typist(columns=100, keys="vi") as person:
        assert person.screen("x")[1].startswith("insert · ")
        assert person.screen("x", ESCAPE)[1].startswith("navigation · ")
        assert person.screen('"""')[1].startswith('block: """ ends it · insert')


def test_without_colour_the_bar_has_none() -> None:
    for color in (True, False):
        with typist(color=color) as person:
            person.screen("x")
            assert ("\x1b[0;90m" in person.terminal.written) == color


def test_a_screen_of_few_rows_has_no_bar() -> None:
    with typist(rows=3) as person:
        assert person.screen("x") == ["> x"]
