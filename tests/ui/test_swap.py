"""/model: the old model goes before the new one comes, and comes back where that fails."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest
from chats import answers, err

from fakes import FakeBackend, fake_console
from mistral_cli.contract import SamplingParams
from mistral_cli.errors import CheckpointError, MistralError, OutOfMemoryError
from mistral_cli.ui.repl import Repl

if TYPE_CHECKING:
    from collections.abc import Callable


class Shelf:
    """Loads models by name, noting what was asked and whether the first one was still held then."""

    def __init__(self, *models: object, reloaded: object = None, wrong: MistralError | None = None) -> None:
        self.models = iter(models)
        self.reloaded = reloaded
        self.wrong = wrong
        self.asked: list[str] = []
        self.was_held: list[bool] = []
        self.first = FakeBackend(answers=["First."])
        self._watched: Callable[[], object] = weakref.ref(self.first)

    def give(self) -> FakeBackend:
        """Return the model that the chat begins with, and hold it no longer."""
        first, self.first = self.first, None
        return first

    def check(self, name: str) -> None:
        self.asked.append(f"check {name}")
        if self.wrong is not None:
            raise self.wrong

    def load(self, name: str) -> FakeBackend:
        self._note(f"load {name}")
        return self._next(next(self.models))

    def reload(self) -> FakeBackend:
        self._note("reload")
        return self._next(self.reloaded)

    def _note(self, what: str) -> None:
        gc.collect()
        self.asked.append(what)
        self.was_held.append(self._watched() is not None)

    @staticmethod
    def _next(model: object) -> FakeBackend:
        if isinstance(model, BaseException):
            raise model
        return model

    def options(self) -> dict[str, object]:
        return {"load": self.load, "check": self.check, "reload": self.reload}


def chat(shelf: Shelf, *lines: str) -> Repl:
    """Type lines in a chat that alone holds its model."""
    left = iter(lines)

    def read() -> str:
        line = next(left, None)
        if line is None:
            raise EOFError
        return line

    console = fake_console(terminal=True)
    repl = Repl(backend=shelf.give(), params=SamplingParams(), console=console, read=read, **shelf.options())
    repl.run()
    return repl


def test_the_old_model_is_checked_against_freed_and_then_the_new_one_is_loaded() -> None:
    shelf = Shelf(FakeBackend(answers=["Second."]))
    repl = chat(shelf, "one", "/model other", "two")
    assert shelf.asked == ["check other", "load other"]
    assert shelf.was_held == [False]
    assert answers(repl) == ["First.", "Second."]


def test_the_model_that_answers_already_is_not_loaded_again() -> None:
    class Same(Shelf):
        def check(self, name: str) -> bool:
            return True

    shelf = Same(FakeBackend(answers=["Again."]))
    repl = chat(shelf, "one", "/model same", "two")
    assert shelf.asked == []
    assert "fake answers already." in err(repl)
    assert answers(repl) == ["First.", "First."]


def test_what_is_found_wrong_beforehand_leaves_the_old_model_loaded() -> None:
    shelf = Shelf(wrong=OutOfMemoryError("It needs 9 bytes, but 8 are free."))
    repl = chat(shelf, "one", "/model large", "two")
    assert shelf.asked == ["check large"]
    assert "error: It needs 9 bytes, but 8 are free." in err(repl)
    assert answers(repl) == ["First.", "First."]


@pytest.mark.parametrize("failure", [CheckpointError("A shard is cut short."), KeyboardInterrupt()])
def test_a_model_that_fails_to_load_brings_the_old_one_back_and_nothing_of_the_chat_is_lost(
    failure: BaseException,
) -> None:
    shelf = Shelf(failure, reloaded=FakeBackend(answers=["Back."]))
    repl = chat(shelf, "one", "/model broken", "two")
    assert shelf.asked == ["check broken", "load broken", "reload"]
    assert answers(repl) == ["First.", "Back."]
    assert len(repl.backend.prompts[0]) == 3
    assert "Loading fake again." in err(repl)


def test_what_was_loaded_before_a_failure_is_freed_before_the_old_one_is_loaded_again() -> None:
    half: list[weakref.ref[FakeBackend]] = []

    class Breaking(Shelf):
        def load(self, name: str) -> FakeBackend:
            loaded = FakeBackend()
            half.append(weakref.ref(loaded))
            raise CheckpointError("The last shard is missing.")

        def reload(self) -> FakeBackend:
            gc.collect()
            assert half[0]() is None
            return FakeBackend(answers=["Back."])

    assert answers(chat(Breaking(), "one", "/model broken", "two")) == ["First.", "Back."]


def test_a_base_model_that_was_loaded_is_put_away_again() -> None:
    from dataclasses import replace

    base = FakeBackend()
    base.info = replace(base.info, name="base", is_base=True)
    repl = chat(Shelf(base, reloaded=FakeBackend(answers=["Back."])), "/model base", "one")
    assert "base is a base model without a chat template" in err(repl)
    assert answers(repl) == ["Back."]


def test_where_not_even_the_old_one_comes_back_the_chat_goes_on_without_a_model_until_one_is_loaded() -> None:
    gone, again = CheckpointError("It is gone."), FakeBackend(answers=["Third."])
    repl = chat(Shelf(CheckpointError("Bad."), again, reloaded=gone), "one", "/model b", "two", "/model c", "three")
    said = err(repl)
    assert "No model is loaded now; the chat is as it was. /model NAME loads one." in said
    assert "error: No model is loaded. /model NAME loads one, such as fake." in said
    assert answers(repl) == ["First.", "Third."]


def test_ctrl_c_in_the_loading_of_the_old_one_leaves_the_chat_without_a_model() -> None:
    repl = chat(Shelf(CheckpointError("Bad."), reloaded=KeyboardInterrupt()), "one", "/model b", "two")
    assert "error: Bad." in err(repl)
    assert "No model is loaded now" in err(repl)
    assert answers(repl) == ["First."]


def test_a_model_that_is_missing_does_not_come_back() -> None:
    """After a failure without any model there is nothing to bring back."""
    shelf = Shelf(CheckpointError("Bad."), CheckpointError("Worse."), reloaded=CheckpointError("Gone."))
    chat(shelf, "/model b", "/model c")
    assert shelf.asked == ["check b", "load b", "reload", "check c", "load c"]
