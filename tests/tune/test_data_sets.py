"""Data sets in the library's own forms: the rows of a folder as they lie, and what is not there told by name."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet

from mistral_cli.errors import MistralError, ModelNotFoundError, NetworkError, UsageError
from mistral_cli.tune.data_sets import data_set_rows, is_id
from mistral_cli.tune.formats import FORMATS, Completion, Languages, build_example
from mistral_cli.tune.rows import Row

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = [
    {"id": "0", "translation": {"en": "The Wanderer", "fr": "Le grand Meaulnes"}},
    {"id": "1", "translation": {"en": "Good day.", "fr": "Bonjour."}},
]
CARD = """---
configs:
- config_name: en-fr
  data_files:
  - split: train
    path: en-fr/train-*
- config_name: de-en
  data_files:
  - split: test
    path: en-fr/train-*
---
"""


def rows(name: Path | str, subset: str | None = None, split: str | None = None) -> list[Row]:
    return list(data_set_rows(str(name), subset, split, lambda _size: False))


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """Lay out a folder as ``opus_books`` is at the hub: Parquet by subset, and a card that names the subsets."""
    folder = tmp_path / "opus_books"
    (folder / "en-fr").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    parquet.write_table(pa.Table.from_pylist(PAIRS), folder / "en-fr" / "train-00000-of-00001.parquet")
    return folder


def test_a_subset_of_translations_is_rows_as_they_are(books: Path) -> None:
    found = rows(books, "en-fr")
    assert found == [Row(number=at, columns=pair) for at, pair in enumerate(PAIRS, 1)]
    made = build_example(found[0], FORMATS["translation"], {}, Languages(source="en", target="fr"))
    assert made == Completion(
        prompt="Translate: English → French\nEnglish: The Wanderer\nFrench:", completion=" Le grand Meaulnes\n"
    )


def test_a_split_is_taken_by_its_name(books: Path) -> None:
    assert len(rows(books, "de-en", "test")) == 2


@pytest.mark.parametrize(
    ("subset", "split", "words"),
    [
        (None, None, r"pick one among the available configs: \['en-fr', 'de-en'\]"),
        ("xx", None, r"'xx' not found\. Available: \['en-fr', 'de-en'\]"),
        ("en-fr", "test", r"test\. Available splits: \['train'\]"),
    ],
)
def test_what_a_data_set_has_is_told(books: Path, subset: str | None, split: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        rows(books, subset, split)
    assert "load_dataset" not in caught.value.message


def test_what_the_library_saved_is_read(tmp_path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    saved = datasets.Dataset.from_list(PAIRS)
    saved.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": saved, "test": saved.select([1])}).save_to_disk(tmp_path / "two")
    assert rows(tmp_path / "one") == [Row(number=1, columns=PAIRS[0]), Row(number=2, columns=PAIRS[1])]
    assert rows(tmp_path / "two", split="test") == [Row(number=1, columns=PAIRS[1])]
    with pytest.raises(UsageError, match="no split 'dev'") as caught:
        rows(tmp_path / "two", split="dev")
    assert caught.value.hint == "There are: train, test."


def test_files_of_rows_in_a_folder_are_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    assert [row.columns for row in rows(tmp_path / "data")] == PAIRS


def test_a_parquet_file_is_rows(tmp_path: Path) -> None:
    parquet.write_table(pa.Table.from_pylist([{"text": "Once"}]), tmp_path / "data.parquet")
    assert rows(tmp_path / "data.parquet") == [Row(number=1, columns={"text": "Once"})]


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    parquet.write_table(pa.Table.from_pylist(PAIRS), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(MistralError, match=r"data\.parquet cannot be read") as caught:
        rows(path)
    assert caught.value.exit_code == 1


def test_a_folder_without_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="holds no data files"):
        rows(tmp_path)


def test_a_folder_of_pictures_is_refused_by_its_kind(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(UsageError, match="kind 'imagefolder'"):
        rows(tmp_path)


def test_a_script_in_a_folder_is_never_run(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "data.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(UsageError, match="scripts are no longer supported"):
        rows(folder)
    assert not (tmp_path / "ran").exists()


def test_a_hub_that_is_not_asked_is_no_hub() -> None:
    with pytest.raises(NetworkError, match=r"cannot be reached, and the data set Helsinki-NLP/opus_books is not"):
        rows("Helsinki-NLP/opus_books", "en-fr")


def test_without_the_library_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        rows("opus_books")
    assert caught.value.hint == "pip install 'mistral-cli[tune]'"


@pytest.mark.parametrize(
    ("name", "may_be"),
    [
        ("opus_books", True),
        ("Helsinki-NLP/opus_books", True),
        ("data.jsonl", False),
        ("./opus_books", False),
        ("a/b/c", False),
        ("../x", False),
        ("chats.JSON", False),
    ],
)
def test_a_file_that_is_missing_is_no_data_set(name: str, may_be: bool) -> None:
    assert is_id(name) is may_be
