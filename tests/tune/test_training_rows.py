"""Training data as it lies on the disk: every row with its line, and what is wrong with one stops no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mistral_cli.errors import MistralError, ModelNotFoundError, UsageError
from mistral_cli.tune.rows import Row, read_rows

if TYPE_CHECKING:
    from pathlib import Path


def rows(folder: Path, name: str, text: str | bytes) -> list[Row]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_rows(path))


def test_each_line_of_json_is_a_row(tmp_path: Path) -> None:
    got = rows(tmp_path, "data.jsonl", '\ufeff{"text": "a"}\n\n{"text": "b"}')
    assert got == [Row(number=1, columns={"text": "a"}), Row(number=3, columns={"text": "b"})]


def test_a_line_that_is_no_object_is_told_and_the_next_is_read(tmp_path: Path) -> None:
    first, second, third, last = rows(tmp_path, "data.jsonl", '{"a": 1\n[1]\n{"text": "b"}\n{"text": "cu')
    assert first.columns is None
    assert first.error.startswith("no JSON: ")
    assert (second.number, second.error) == (2, "no object: [1]")
    assert third.columns == {"text": "b"}
    assert (last.number, last.columns) == (4, None)


def test_a_list_of_json_is_rows(tmp_path: Path) -> None:
    got = rows(tmp_path, "data.json", '[{"text": "a"}, 7]')
    assert got == [Row(number=1, columns={"text": "a"}), Row(number=2, error="no object: 7")]


@pytest.mark.parametrize("text", ["{}", "[1", ""])
def test_json_that_holds_no_list_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"data\.json") as caught:
        rows(tmp_path, "data.json", text)
    assert "jsonl" in caught.value.hint or "jsonl" in caught.value.message


def test_a_table_has_the_names_in_its_first_line(tmp_path: Path) -> None:
    got = rows(tmp_path, "data.csv", 'prompt, completion\r\n"two\nlines","say ""hi"""\r\nalone\r\na,b\r\n')
    assert got == [
        Row(number=2, columns={"prompt": "two\nlines", "completion": 'say "hi"'}),
        Row(number=4, error="1 cells where there are 2 columns"),
        Row(number=5, columns={"prompt": "a", "completion": "b"}),
    ]


def test_a_table_may_have_tabs_and_long_cells(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, "data.tsv", "a\tb\n1\t" + "x" * 200_000)
    assert row.columns is not None
    assert len(str(row.columns["b"])) == 200_000


def test_a_quote_that_never_ends_is_told_with_its_line(tmp_path: Path) -> None:
    got = rows(tmp_path, "data.csv", 'a,b\n1,2\n3,"4\n5,6\n')
    assert got[0].columns == {"a": "1", "b": "2"}
    assert [row.number for row in got[1:]] == [3]
    assert got[1].error.startswith("no CSV: ")


def test_a_table_without_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names of its columns"):
        rows(tmp_path, "data.csv", "\n")


def test_paragraphs_of_plain_text_are_rows(tmp_path: Path) -> None:
    got = rows(tmp_path, "data.txt", "One\ntwo\n\n \n\nThree")
    assert got == [Row(number=1, columns={"text": "One\ntwo"}), Row(number=6, columns={"text": "Three"})]


def test_what_is_not_utf_8_is_read_all_the_same(tmp_path: Path) -> None:
    assert rows(tmp_path, "data.txt", b"caf\xe9") == [Row(number=1, columns={"text": "caf\ufffd"})]


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no data"):
        list(read_rows(tmp_path / "none.jsonl"))
    with pytest.raises(UsageError, match="folder"):
        list(read_rows(tmp_path))
    (tmp_path / "loop.jsonl").symlink_to("/proc/self/mem")
    with pytest.raises(MistralError, match="cannot be read"):
        list(read_rows(tmp_path / "loop.jsonl"))
