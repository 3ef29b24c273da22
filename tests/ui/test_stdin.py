"""Bytes from stdin and files become text, in bounded memory."""

from __future__ import annotations

import io
import os
import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from fakes import fake_stdin
from mistral_cli.errors import ContextError, UsageError
from mistral_cli.ui import stdin as module
from mistral_cli.ui.stdin import INPUT_LIMIT, Stdin, read_file, strip_line_end

if TYPE_CHECKING:
    from pathlib import Path


def _read(data: bytes) -> tuple[str, list[str]]:
    warnings: list[str] = []
    return fake_stdin(data).read(lambda: None, warnings.append), warnings


def test_nul_and_crlf_are_kept_and_nothing_is_said() -> None:
    assert _read(b"a\0b\r\nc") == ("a\0b\r\nc", [])


def test_a_bom_at_the_start_is_dropped_and_elsewhere_kept() -> None:
    assert _read(b"\xef\xbb\xbfa\xef\xbb\xbfb") == ("a\ufeffb", [])


def test_invalid_bytes_become_replacement_characters_with_one_warning() -> None:
    text, warnings = _read(b"a\xffb\xc3")
    assert text == "a\ufffdb\ufffd"
    assert warnings == ["stdin is not valid UTF-8 (byte 1); what is not is read as U+FFFD."]


def test_a_closed_stdin_gives_nothing() -> None:
    closed = Stdin(file=None)
    assert not closed.is_piped
    assert closed.read(lambda: None, print) == ""
    assert list(closed.lines(lambda: None, print)) == []


def test_too_much_is_refused_with_both_numbers_and_not_read_further() -> None:
    class Endless(io.RawIOBase):
        served = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            self.served += len(buffer)
            return len(buffer)

    endless = Endless()
    with pytest.raises(ContextError, match=f"{INPUT_LIMIT:,} bytes \\(at least {INPUT_LIMIT + 1:,}\\)"):
        Stdin(file=io.BufferedReader(endless)).read(lambda: None, print)
    assert endless.served < 1.1 * INPUT_LIMIT


def test_lines_come_one_by_one_without_their_ends() -> None:
    assert list(fake_stdin(b"a\r\nb\n\nc").lines(lambda: None, print)) == ["a", "b", "", "c"]


def test_of_many_lines_that_are_not_utf8_the_first_is_warned_of() -> None:
    warnings: list[str] = []
    assert list(fake_stdin(b"a\nb\xff\nc\xff\n").lines(lambda: None, warnings.append)) == ["a", "b\ufffd", "c\ufffd"]
    assert warnings == ["line 2 of stdin is not valid UTF-8 (byte 1); what is not is read as U+FFFD."]


def test_a_line_that_is_too_long_is_an_error_in_its_place_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INPUT_LIMIT", 8)
    first, long, exact, last = fake_stdin(b"a\n" + b"b" * 30 + b"\n1234567\nc").lines(lambda: None, print)
    assert (first, exact, last) == ("a", "1234567", "c")
    assert isinstance(long, ContextError)
    assert "line 2 of stdin holds more than 8 bytes" in long.message


def test_where_no_line_has_come_yet_it_says_so_instead_of_waiting() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as file:
        lines = Stdin(file=file).lines(lambda: None, print, may_wait=lambda: False)
        assert next(lines) is None
        os.write(writing, b"one\ntw")
        assert [next(lines), next(lines)] == ["one", None]
        os.write(writing, b"o\nthree")
        os.close(writing)
        assert list(lines) == ["two", "three"]


def test_waiting_for_a_line_ends_when_none_is_wanted_any_more() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as file:
        looks = iter([False, False, False, True])
        assert list(Stdin(file=file).lines(lambda: None, print, is_over=lambda: next(looks, True))) == []
    os.close(writing)


def test_an_endless_line_is_dropped_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INPUT_LIMIT", 100_000)
    tracemalloc.start()
    long, last = fake_stdin(b"b" * 5_000_000 + b"\nc").lines(lambda: None, print)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(long, ContextError)
    assert last == "c"
    assert peak < 12_000_000  # the input itself, twice, and little more


def test_waiting_is_said_once_the_patience_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAY_WAITING_AFTER", 0.01)
    reading, writing = os.pipe()
    was_said = threading.Event()

    def feed() -> None:
        was_said.wait(300)
        os.write(writing, b"late")
        os.close(writing)

    feeder = threading.Thread(target=feed)
    feeder.start()
    with os.fdopen(reading, "rb") as file:
        assert Stdin(file=file).read(was_said.set, print) == "late"
    feeder.join()
    assert was_said.is_set()


def test_a_file_is_read_as_stdin_is(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfa\xff")
    warnings: list[str] = []
    assert read_file(str(path), warnings.append) == "a\ufffd"
    assert warnings == [f"{path} is not valid UTF-8 (byte 1); what is not is read as U+FFFD."]


@pytest.mark.parametrize(
    ("name", "why"), [("nothing-there", "No such file"), (".", "Is a directory"), ("a\0b", "null byte")]
)
def test_a_file_that_cannot_be_read_is_a_usage_error(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"cannot be read: .*{why}"):
        read_file(name, print)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), ("a", "a"), ("\n", ""), ("", "")],
)
def test_one_line_end_is_dropped(text: str, expected: str) -> None:
    assert strip_line_end(text) == expected
