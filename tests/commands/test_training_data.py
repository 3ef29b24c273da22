"""The flags for training data: what each means, and what contradicts another."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, get_args

import pytest

from mistral_cli.commands.data_options import FormatOption
from mistral_cli.commands.training_data import DataFlags
from mistral_cli.errors import ModelNotFoundError, NetworkError, UsageError
from mistral_cli.tune.formats import FORMATS, Languages
from mistral_cli.tune.rows import Row

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.tune.dataset import Reading


def reading(flags: DataFlags) -> Reading:
    return flags.reading(loss="answers", length=64)


def test_the_formats_of_the_flag_are_those_there_are() -> None:
    choices = get_args(get_args(get_args(FormatOption)[0])[0])
    assert set(choices) == set(FORMATS)


def test_columns_are_mapped_one_by_one_or_with_commas() -> None:
    flags = DataFlags(map=["prompt=the question, completion=a,b", "system=s"])
    assert reading(flags).columns == {"prompt": "the question", "completion": "a,b", "system": "s"}


def test_languages_have_columns_that_can_be_mapped() -> None:
    flags = DataFlags(source="en", target="fr", map=["en=English,fr=French"])
    assert reading(flags).columns == {"en": "English", "fr": "French"}
    assert reading(flags).languages == Languages(source="en", target="fr")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (DataFlags(map=["question"]), "must be OURS=THEIRS"),
        (DataFlags(map=["prompt="]), "must be OURS=THEIRS"),
        (DataFlags(map=["question=q"]), "no format has a column 'question'"),
        (DataFlags(map=["prompt=q,prompt=r"]), "twice"),
        (DataFlags(source="en"), "--source and --target"),
        (DataFlags(format="translation"), "--source and --target"),
        (DataFlags(format="chat", source="en", target="fr"), "no place in --format chat"),
    ],
)
def test_flags_that_make_no_sense_are_refused(flags: DataFlags, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        reading(flags)


def test_a_dash_is_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(b'{"text": "a"}\n'))))
    assert list(DataFlags().rows("-")) == [Row(number=1, columns={"text": "a"})]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="stdin is closed"):
        list(DataFlags().rows("-"))


def test_a_file_has_no_subset(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("Once")
    for flags in (DataFlags(subset="en-fr"), DataFlags(split="test")):
        with pytest.raises(UsageError, match="is one file"):
            list(flags.rows(str(tmp_path / "data.txt")))


def test_a_column_that_is_mapped_and_that_no_row_has_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("prompt,completion,role\nWhat?,Tea,cook\n")
    assert len(list(DataFlags(map=["system=role"]).rows(str(path)))) == 1
    with pytest.raises(UsageError, match="--map names the column 'rolle', which no row has") as caught:
        list(DataFlags(map=["system=rolle"]).rows(str(path)))
    assert "prompt, completion, role" in caught.value.hint


def test_what_is_no_file_is_sought_at_the_hub_only_if_it_may_be_there(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no data at"):
        list(DataFlags().rows(str(tmp_path / "none.jsonl")))
    with pytest.raises(NetworkError, match="data set opus_books"):
        list(DataFlags(subset="en-fr").rows("opus_books"))
