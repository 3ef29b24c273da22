"""Lines of a file in bounded memory, and what their bytes say of its encoding. Knows no rows."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

LONGEST_LINE = 2**25
"""Bytes; a longer line is passed over, and told."""
LOOK = 4096
"""Bytes of the beginning that are looked at."""
_CHUNK = 2**20
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""What a file of another encoding begins with; the longer first."""
_ZIP = b"PK\x03\x04"
_SHEETS = (".xlsx", ".ods")
"""Endings of spreadsheets, which are compressed folders."""
_PACKED = {
    b"\x1f\x8b": "gzip -dc",
    b"\x28\xb5\x2f\xfd": "zstd -dc",
    b"BZh": "bzip2 -dc",
    b"\xfd7zXZ": "xz -dc",
    _ZIP: "unzip -p",
}
"""What a compressed file begins with -> the program that unpacks it to its stdout."""


def peek(file: BinaryIO) -> bytes:
    """Return the beginning of a buffered file, a UTF-8 BOM left out, and leave it to be read."""
    look = getattr(file, "peek", None)
    data = bytes(look(LOOK)) if look else b""
    return data.removeprefix(codecs.BOM_UTF8)[:LOOK]


def check_encoding(begin: bytes, name: str) -> None:
    """Refuse a file whose beginning shows that it is no text in UTF-8.

    Raises:
        UsageError: it is compressed, a spreadsheet, or in another encoding; the hint says what makes it right.
    """
    if name.lower().endswith(_SHEETS) and begin.startswith(_ZIP):
        raise UsageError(
            f"{name} is a spreadsheet.", "Save it as CSV, with the names of the columns in the first line."
        )
    for mark, program in _PACKED.items():
        if begin.startswith(mark):
            raise UsageError(f"{name} is compressed.", f"Unpack it: {program} FILE | mistral data check -")
    encoding = next((known for mark, known in _MARKS.items() if begin.startswith(mark)), None)
    if encoding is None and 3 * begin.count(0) > len(begin):
        raise UsageError(
            f"{name} is no text: a third of its bytes are 0.", "If it is UTF-16: iconv -f UTF-16 -t UTF-8 FILE"
        )
    if encoding is not None:
        raise UsageError(f"{name} is {encoding}, but must be UTF-8.", f"Convert it: iconv -f {encoding} -t UTF-8 FILE")


class Lines:
    """The lines of a file with their numbers, from 1; None in place of one that is too long."""

    def __init__(self, file: BinaryIO) -> None:
        self.number = 0
        """Of the line that came last."""
        self._file = file

    def __iter__(self) -> Iterator[tuple[int, bytes | None]]:
        """Yield them, each with its line end; the first without a UTF-8 BOM."""
        while line := self._file.readline(LONGEST_LINE + 1):
            self.number += 1
            is_whole = len(line) <= LONGEST_LINE or line.endswith(b"\n")
            if not is_whole:
                self._skip()
            yield self.number, (line.removeprefix(codecs.BOM_UTF8) if self.number == 1 else line) if is_whole else None

    def _skip(self) -> None:
        while (more := self._file.readline(_CHUNK)) and not more.endswith(b"\n"):
            pass


def decode(line: bytes | None) -> tuple[str, str]:
    """Return a line's text, and what is wrong with it, if anything is: it is too long, or no UTF-8."""
    if line is None:
        return "", f"the line is longer than {LONGEST_LINE:,} bytes"
    try:
        return line.decode(), ""
    except UnicodeDecodeError as error:
        return "", not_utf8(line[error.start])


def not_utf8(byte: int) -> str:
    """Return the words for a row that holds a byte which no UTF-8 has in its place."""
    return f"no UTF-8 (byte 0x{byte:02x}); a file in Latin-1 is converted by: iconv -f LATIN1 -t UTF-8"
