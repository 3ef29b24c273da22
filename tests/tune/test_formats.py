"""Rows become examples: which columns make which kind, and what a row lacks is told by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mistral_cli.contract import Message
from mistral_cli.errors import UsageError
from mistral_cli.text.messages import Conversation
from mistral_cli.tune.formats import FORMATS, Completion, Languages, build_example, find_format, translation_prompt
from mistral_cli.tune.rows import Row

if TYPE_CHECKING:
    from mistral_cli.tune.formats import Example

TO_FRENCH = Languages(source="en", target="fr")


def example(columns: dict[str, Any], name: str | None = None, languages: Languages | None = None) -> Example:
    form = FORMATS[name] if name else find_format(columns, languages)
    assert form is not None
    return build_example(Row(number=1, columns=columns), form, {}, languages)


def turn(question: str, answer: str) -> tuple[Message, ...]:
    return (Message(role="user", content=question), Message(role="assistant", content=answer))


@pytest.mark.parametrize(
    "columns",
    [
        {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]},
        {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}], "id": 3},
        {"instruction": "Q", "input": "", "output": "A"},
        {"prompt": "Q", "completion": "A"},
    ],
)
def test_every_kind_of_dialogue_is_a_conversation(columns: dict[str, Any]) -> None:
    assert example(columns) == Conversation(messages=turn("Q", "A"))


def test_an_input_stands_under_its_instruction() -> None:
    assert example({"instruction": "Sum up.", "input": "Long.", "output": "Short."}) == Conversation(
        messages=turn("Sum up.\n\nLong.", "Short.")
    )


def test_a_system_prompt_goes_first() -> None:
    made = example({"system": "S", "prompt": "Q", "completion": "A"})
    assert made == Conversation(messages=(Message(role="system", content="S"), *turn("Q", "A")))


def test_text_and_raw_prompts_are_touched_by_no_format() -> None:
    assert example({"text": "Once"}) == Completion(prompt="", completion="Once")
    assert example({"prompt": "1, 2,", "completion": " 3"}, "raw") == Completion(prompt="1, 2,", completion=" 3")


@pytest.mark.parametrize("columns", [{"translation": {"en": "Hi", "fr": "Salut"}}, {"en": "Hi", "fr": "Salut"}])
def test_a_pair_is_a_raw_completion_that_ends_with_its_line(columns: dict[str, Any]) -> None:
    made = example(columns, languages=TO_FRENCH)
    assert made == Completion(
        prompt="Translate: English → French\nEnglish: Hi\nFrench:",
        completion=" Salut\n",
    )


def test_lines_of_a_source_become_one() -> None:
    made = example({"en": "One\ntwo", "fr": "Un deux"}, languages=TO_FRENCH)
    assert isinstance(made, Completion)
    assert made.prompt == translation_prompt("One two", TO_FRENCH)


def test_a_language_without_a_code_goes_by_its_name() -> None:
    assert translation_prompt("Hi", Languages(source="en", target="Klingon")).endswith("\nKlingon:")


def test_columns_of_other_names_are_mapped() -> None:
    row = Row(number=1, columns={"question": "Q", "answer": "A"})
    made = build_example(row, FORMATS["completion"], {"prompt": "question", "completion": "answer"}, None)
    assert made == Conversation(messages=turn("Q", "A"))


@pytest.mark.parametrize("columns", [{"prompt": "X", "q": "Q", "a": "A"}, {"q": "Q", "prompt": "X", "a": "A"}])
def test_a_column_that_is_mapped_comes_before_one_that_is_called_so(columns: dict[str, Any]) -> None:
    made = build_example(
        Row(number=1, columns=columns), FORMATS["completion"], {"prompt": "q", "completion": "a"}, None
    )
    assert made == Conversation(messages=turn("Q", "A"))


def test_one_column_may_be_two_of_ours() -> None:
    made = build_example(Row(number=1, columns={"a": "Hi"}), FORMATS["raw"], {"prompt": "a", "completion": "a"}, None)
    assert made == Completion(prompt="Hi", completion="Hi")


@pytest.mark.parametrize(
    ("columns", "name", "words"),
    [
        ({"prompt": "Q"}, "completion", "completion is missing"),
        ({"prompt": "Q", "completion": 7}, "completion", "completion is 7, but must be text"),
        ({"prompt": "Q", "completion": " "}, "completion", "completion is empty"),
        ({"messages": [{"role": "user", "content": "Q"}]}, "chat", "nothing to learn"),
        ({"messages": [{"role": "teacher", "content": "Q"}]}, "chat", "'teacher'"),
        ({"conversations": [{"from": "robot", "value": "x"}]}, "sharegpt", "'robot'"),
        ({"conversations": "x"}, "sharegpt", "list of objects"),
        ({"translation": "x"}, "translation", "object with a text for each language"),
        ({"translation": {"en": "Hi"}}, "translation", "fr is missing"),
        ({"en": "Hi", "fr": "a\nb"}, "translation", "several lines"),
    ],
)
def test_what_a_row_lacks_is_told(columns: dict[str, Any], name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        example(columns, name, TO_FRENCH)


def test_a_translation_without_a_way_is_refused() -> None:
    with pytest.raises(UsageError, match="which way"):
        example({"translation": {"en": "Hi", "fr": "Salut"}})


def test_a_row_that_could_not_be_read_says_why() -> None:
    with pytest.raises(UsageError, match="no JSON"):
        build_example(Row(number=3, error="no JSON: end"), FORMATS["chat"], {}, None)


def test_a_row_of_no_kind_is_none() -> None:
    assert find_format({"answer": "A"}) is None
