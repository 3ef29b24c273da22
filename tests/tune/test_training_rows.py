"""Training data as it lies on the disk: every row with its line, and what is wrong with one stops no other."""

from __future__ import annotations

import gzip
import os
import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from mistral_cli.errors import MistralError, ModelNotFoundError, UsageError
from mistral_cli.tune.lines import LONGEST_LINE, LOOK
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
    got = rows(tmp_path, "data.txt", "One\ntwo\n\n \n\nThree\r\n")
    assert got == [Row(number=1, columns={"text": "One\ntwo"}), Row(number=6, columns={"text": "Three"})]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("data.txt", b"caf\xe9\nau lait\n\nTea"),
        ("data.jsonl", b'{"text": "caf\xe9"}\n\n\n{"text": "Tea"}'),
        ("data.csv", b"text\ncaf\xe9\n\nTea\n"),
    ],
)
def test_a_row_that_is_not_utf_8_is_told_and_not_guessed(tmp_path: Path, name: str, data: bytes) -> None:
    first, second = rows(tmp_path, name, data)
    assert "no UTF-8 (byte 0xe9)" in first.error
    assert (second.number, second.columns) == (4, {"text": "Tea"})


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-be"])
def test_another_encoding_is_told_with_what_converts_it(tmp_path: Path, encoding: str) -> None:
    text = "\ufeffprompt,completion" if encoding == "utf-16-be" else "prompt,completion"
    with pytest.raises(UsageError, match=r"UTF-(16|32), but must be UTF-8") as caught:
        rows(tmp_path, "data.csv", text.encode(encoding))
    assert "iconv -f UTF-" in caught.value.hint


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    for data in (bytes(100), "no mark before it".encode("utf-16-le")):
        with pytest.raises(UsageError, match="no text") as caught:
            rows(tmp_path, "data.txt", data)
        assert "iconv -f UTF-16" in caught.value.hint


def test_a_compressed_file_is_told_with_what_unpacks_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="compressed") as caught:
        rows(tmp_path, "data.jsonl.gz", gzip.compress(b'{"text": "a"}'))
    assert "gzip -dc" in caught.value.hint


def test_nul_and_carriage_returns_stay_in_a_text(tmp_path: Path) -> None:
    assert rows(tmp_path, "data.jsonl", '{"text": "a\\u0000b\\r\\n"}\r\n')[0].columns == {"text": "a\0b\r\n"}
    assert rows(tmp_path, "data.txt", b"a\0b")[0].columns == {"text": "a\0b"}


@pytest.mark.parametrize(
    ("name", "begin", "end"),
    [("data.jsonl", '{"text": "', '"}'), ("data.csv", "text\n", ""), ("data.txt", "", "")],
)
def test_a_line_beyond_all_bounds_is_passed_over_in_bounded_memory(
    tmp_path: Path, name: str, begin: str, end: str
) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(begin.encode() + b"x" * LOOK)
        file.seek(4 * LONGEST_LINE, os.SEEK_CUR)  # a hole: NULs that take no room on the disk
        file.write((end + '\n\n{"text": "b"}\n').encode())
    tracemalloc.start()
    first, second = read_rows(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "longer than 33,554,432 bytes" in first.error
    assert second.columns is not None
    assert peak < 2.5 * LONGEST_LINE


def test_a_paragraph_beyond_all_bounds_is_told(tmp_path: Path) -> None:
    line = "x" * 2**20 + "\n"
    first, second = rows(tmp_path, "data.txt", line * 33 + "\nTea")
    assert (first.number, first.error) == (1, "more than 33,554,432 characters")
    assert second.columns == {"text": "Tea"}


def test_a_pipe_is_read_by_what_comes_through_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for text, columns in (('{"text": "a"}\n', {"text": "a"}), ('[{"b": 1}]', {"b": 1}), ("Once\n", {"text": "Once"})):
        writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(text,))
        writer.start()
        assert list(read_rows(tmp_path / "pipe")) == [Row(number=1, columns=columns)]
        writer.join()


def test_lines_of_json_may_be_called_json(tmp_path: Path) -> None:
    assert len(rows(tmp_path, "data.json", '{"text": "a"}\n{"text": "b"}\n')) == 2


def test_lines_of_json_may_be_called_json_though_the_first_is_longer_than_is_looked_at(tmp_path: Path) -> None:
    long = '{"text": "' + "x" * 3 * LOOK + '"}\n'
    assert [row.number for row in rows(tmp_path, "data.json", long + '{"text": "b"}\n') if row.columns] == [1, 2]


@pytest.mark.parametrize("ending", ["xlsx", "ods"])
def test_a_spreadsheet_is_to_be_saved_as_csv(tmp_path: Path, ending: str) -> None:
    with pytest.raises(UsageError, match="is a spreadsheet") as caught:
        rows(tmp_path, f"data.{ending}", b"PK\x03\x04" + bytes(50))
    assert "CSV" in caught.value.hint


def test_a_quote_without_a_partner_tells_how_much_is_lost_with_it(tmp_path: Path) -> None:
    got = rows(tmp_path, "data.csv", 'a,b\n3,"4\n' + "5,6\n" * 100)
    assert [(row.number, row.error) for row in got] == [
        (2, "no CSV: a quotation mark in this row has no partner, so all up to line 102 is lost")
    ]


def test_names_of_columns_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"first line of .*data\.csv is no UTF-8 \(byte 0xe9\)"):
        rows(tmp_path, "data.csv", "r\xe9ponse,question\na,b\n".encode("latin-1"))


def test_lines_that_end_with_cr_alone_are_told_with_what_converts_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="CR alone; it is converted by: tr"):
        rows(tmp_path, "data.csv", b"a,b\r1,2\r")


def test_spreadsheets_that_write_semicolons_are_read(tmp_path: Path) -> None:
    assert rows(tmp_path, "data.csv", "prompt;completion\nWhat, now?;Tea\n")[0].columns == {
        "prompt": "What, now?",
        "completion": "Tea",
    }


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two columns called 'a'"):
        rows(tmp_path, "data.csv", "a,b,a\n1,2,3\n")


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no data"):
        list(read_rows(tmp_path / "none.jsonl"))
    with pytest.raises(UsageError, match="folder"):
        list(read_rows(tmp_path))
    (tmp_path / "loop.jsonl").symlink_to("/proc/self/mem")
    with pytest.raises(MistralError, match="cannot be read"):
        list(read_rows(tmp_path / "loop.jsonl"))
