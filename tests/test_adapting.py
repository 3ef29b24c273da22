"""How an adapter is asked for, and what it is called."""

from __future__ import annotations

import pytest

from mistral_cli.adapting import AdapterChoice, AdapterInfo, free_name, labels, read_choice
from mistral_cli.errors import UsageError


def attached(name: str, path: str, strength: float = 1.0) -> AdapterInfo:
    return AdapterInfo(name=name, path=path, strength=strength, rank=4, parameters=8)


@pytest.mark.parametrize(
    ("text", "there", "path", "strength"),
    [
        ("mine", {"mine"}, "mine", 1.0),
        ("mine:0.5", {"mine"}, "mine", 0.5),
        ("owner/name:-2", set(), "owner/name", -2.0),
        ("mine:0.5", {"mine", "mine:0.5"}, "mine:0.5", 1.0),
        ("run:7:2", {"run:7"}, "run:7", 2.0),
        (r"C:\adapters", set(), r"C:\adapters", 1.0),
        ("gone:soon", set(), "gone:soon", 1.0),
    ],
)
def test_a_scale_follows_the_last_colon_unless_the_whole_is_a_path(
    text: str, there: set[str], path: str, strength: float
) -> None:
    assert read_choice(text, there.__contains__) == AdapterChoice(path=path, strength=strength)


@pytest.mark.parametrize("text", ["mine:half", "mine:", "mine:nan", "mine:inf", "", " ", ":2"])
def test_what_is_no_scale_or_no_path_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_choice(text, {"mine"}.__contains__)


def test_another_adapter_of_the_same_name_gets_a_number_and_the_same_one_does_not() -> None:
    there = [attached("mine", "/a/mine"), attached("mine-2", "/b/mine")]
    assert free_name("mine", "/c/mine", there) == "mine-3"
    assert free_name("mine", "/a/mine", there) == "mine"
    assert free_name("other", "/c/mine", there) == "other"


def test_a_label_tells_the_strength_where_it_is_not_the_trained_one() -> None:
    assert labels([attached("one", "/one"), attached("two", "/two", 0.5)]) == "one, two × 0.5"
