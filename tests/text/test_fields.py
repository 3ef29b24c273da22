"""Texts with places: which there are, what is put there, which braces stay braces."""

from __future__ import annotations

import pytest

from mistral_cli.text.fields import fields_of, fill


def test_each_place_is_named_once_in_the_order_of_the_text() -> None:
    assert fields_of("{{to}} {{ from }} {{to}} {{a-b}} {{_1}}") == ["to", "from", "a-b", "_1"]


def test_a_value_is_never_looked_through_again() -> None:
    assert fill("{{a}} {{b}}", {"a": "{{b}} {{{{", "b": r"{{a}} \1 \g<0>"}) == r"{{b}} {{{{ {{a}} \1 \g<0>"


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ('{"a": {"b": {}}}}} {', '{"a": {"b": {}}}}} {'),
        ("{{{{x}}", "{{x}}"),
        ("{{{{", "{{"),
        ("{{{{{{{{", "{{{{"),
        (r"\textbf{{{x}}}", r"\textbf{VALUE}"),
        ("{{{{{{x}}}}", "{{VALUE}}"),
        ("}} {{x}}", "}} VALUE"),
    ],
)
def test_other_braces_are_letters_and_four_opening_ones_are_two(text: str, filled: str) -> None:
    assert fill(text, {"x": "VALUE"}) == filled


@pytest.mark.parametrize(
    ("text", "where"),
    [("ab{{", 2), ("{{ }}", 0), ("{{a b}}", 0), ("{{1}}", 0), ("{{x}", 0), ("{{\nx}}", 0), ("{{é}}", 0)],
)
def test_two_opening_braces_that_begin_no_place_are_refused(text: str, where: int) -> None:
    with pytest.raises(ValueError, match=str(where)) as caught:
        fields_of(text)
    assert caught.value.args == (where,)


def test_a_place_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="x"):
        fill("{{x}}", {})
