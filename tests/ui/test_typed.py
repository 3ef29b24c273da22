'''Questions, commands, and ``"""`` blocks.'''

from __future__ import annotations

import pytest
from chats import err, typed

from fakes import FakeBackend
from mistral_cli.ui.typed import block, is_command, is_open, question_of, read_whole


@pytest.mark.parametrize("text", ['"""', '"""one', '"""one\ntwo', '"""def f():\n    """doc"""', ' """'])
def test_a_block_is_open_until_its_quotes_come_again(text: str) -> None:
    assert is_open(text)
    assert block(text) is None


@pytest.mark.parametrize(
    "text", ["", "one", 'one """', '""', '"""one"""', '"""one""" two', '"""\ndef f():\n    """doc"""\n"""']
)
def test_what_is_no_block_or_a_whole_one_is_not_open(text: str) -> None:
    assert not is_open(text)


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ('"""one"""', "one"),
        ('"""\none\n"""', "one"),
        ('"""one\n\ntwo\n"""\n', "one\n\ntwo"),
        ('"""\n\n  one\n"""', "\n  one"),
        ('""""""', ""),
        ('"""one""" two', None),
        ("one", None),
        ('"""""', None),
    ],
)
def test_a_block_is_what_stands_between_its_quotes(text: str, inner: str | None) -> None:
    assert block(text) == inner


def test_a_block_is_no_command_and_keeps_its_slashes() -> None:
    assert is_command("/help")
    assert not is_command('"""/help"""')
    assert question_of('"""//help"""') == "//help"
    assert question_of("//help") == "/help"


def test_the_lines_of_a_block_are_read_together() -> None:
    lines = iter(["two", '    """doc"""', 'end"""', "next"])
    assert read_whole('"""one', lambda: next(lines)) == '"""one\ntwo\n    """doc"""\nend"""'
    assert next(lines) == "next"


def test_a_block_is_asked_as_it_stands() -> None:
    backend = FakeBackend()
    typed('"""', "one", "", "/two", '"""', "next", backend=backend)
    assert [prompt[-1].content for prompt in backend.prompts] == ["one\n\n/two", "next"]


def test_a_block_that_does_not_end_is_not_asked() -> None:
    backend = FakeBackend()
    typed('"""', "one", backend=backend)
    assert backend.prompts == []


def test_an_empty_block_is_ignored() -> None:
    backend = FakeBackend()
    assert err(typed('"""', '"""', backend=backend)) == ""
    assert backend.prompts == []
