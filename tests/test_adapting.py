"""How an adapter is asked for, and what it is called."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mistral_cli.adapting import AdapterChoice, AdapterInfo, doubt, free_name, labels, read_choice
from mistral_cli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize(
    ("base", "model", "is_said"),
    [
        (None, "mistralai/Mistral-7B-v0.3", False),
        ("mistralai/Mistral-7B-v0.3", "mistralai/Mistral-7B-v0.3", False),
        ("mistralai/Mistral-7B-v0.1", "mistralai/Mistral-7B-v0.3", True),
        ("mistralai/Mistral-7B-v0.1", "./copy", False),
        ("/somebody/elses/disk", "mistralai/Mistral-7B-v0.3", False),
        ("{here}", "./copy", False),
        ("{here}/../{name}", "./copy", False),
        ("{other}", "./copy", True),
        ("a\0b/\ud800", "owner/name", True),
        ("\0", "owner/name", False),
    ],
)
def test_an_adapter_of_plainly_another_model_is_doubted(
    base: str | None, model: str, is_said: bool, tmp_path: Path
) -> None:
    here, other = tmp_path / "here", tmp_path / "other"
    here.mkdir()
    other.mkdir()
    if base is not None:
        base = base.format(here=here, name=here.name, other=other)
    adapter = replace(attached("mine", "/mine"), base=base)
    assert bool(doubt(adapter, model, str(here))) == is_said
