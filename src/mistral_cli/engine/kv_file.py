"""One kept cache: the ids of a conversation with their keys and values in a file, every byte checked. Knows no torch.

    byte 0     a magic word, and where the header begins, how long it is and its SHA-256: 64 bytes
    byte 64    the ids, four bytes each, then part after part as ``kv_tensors`` gives them
    the end    the header, JSON: what computed the cache, and type, shape and CRC-32 of each part

As each byte is covered by a checksum, nothing need be synced to the disk: what a power failure left of a file is found
out when it is read, and removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from array import array
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from io import FileIO
    from pathlib import Path

VERSION: Final = 1
"""Of the structure of the file, and of the order of the numbers in it."""
_MAGIC: Final = b"mistral-cli KV\r\n"
_PREAMBLE: Final = struct.Struct("<16sQQ32s")
_LONGEST_HEADER: Final = 2**24
IDS: Final = "I32"
"""The type of the first part."""


class DamagedError(ValueError):
    """A file is no kept cache, or is not whole, or another version's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a kept cache is of."""

    origin: str
    """A digest of all that the numbers depend on: weights, quantization, type, kind of cache, adapters, program."""
    chat: str
    """The conversation's own key; nothing that was said is in it."""
    model: str
    """What people call the model."""
    form: str
    """How weights and cache are held, for people."""
    files: tuple[str, ...]
    """The model's own files: where they are gone, the cache is of no use."""
    tokens: int
    firsts: tuple[int, ...]
    """The position in the first slot of each layer: not 0 where a sliding window has moved on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The numbers of one tensor, and where they lie in the file."""

    dtype: str
    """As safetensors calls it."""
    shape: tuple[int, ...]
    nbytes: int
    checksum: int
    """CRC-32."""
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A kept cache whose header is sound. The ids are the first part."""

    path: Path
    about: About
    parts: tuple[Part, ...]
    nbytes: int
    """Of the file."""

    def ids(self) -> list[int]:
        """Return the ids.

        Raises:
            OSError, DamagedError: as ``read``.
        """
        with self.path.open("rb", buffering=0) as file:
            numbers = array("i", bytes(read_part(file, self.parts[0])))
        if struct.pack("=H", 1) != struct.pack("<H", 1):
            numbers.byteswap()
        return numbers.tolist()


def read_part(file: FileIO, part: Part) -> bytearray:
    """Return the bytes of a part.

    They are read, not mapped: a file that somebody cuts short meanwhile would end the program.

    Raises:
        OSError: it cannot be read.
        DamagedError: it is not what was written.
    """
    content = bytearray(part.nbytes)
    rest = memoryview(content)
    file.seek(part.start)
    while rest:
        count = file.readinto(rest)
        if not count:
            raise DamagedError("it is cut short")
        rest = rest[count:]
    if zlib.crc32(content) != part.checksum:
        raise DamagedError("a checksum is another")
    return content


def read_kept(path: Path) -> Kept:
    """Return what is in a file, keys and values left where they are.

    Raises:
        OSError: it cannot be read.
        DamagedError: it is no kept cache of this version, cut short, or its header is damaged.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start, text = _header(file, size)
    try:
        content: dict[str, Any] = json.loads(text)
        if content["version"] != VERSION:
            raise DamagedError("another version of this program wrote it")
        about, parts = _about(content["about"]), tuple(_parts(content["parts"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(str(error)) from error
    if parts[-1].start + parts[-1].nbytes != start or parts[0].shape != (about.tokens,):
        raise DamagedError("its parts are not what its header says")
    return Kept(path=path, about=about, parts=parts, nbytes=size)


def _header(file: BinaryIO, size: int) -> tuple[int, bytes]:
    """Return where the header begins, and the header."""
    preamble = file.read(_PREAMBLE.size)
    if len(preamble) < _PREAMBLE.size:
        raise DamagedError("it is cut short")
    magic, start, length, digest = _PREAMBLE.unpack(preamble)
    if magic != _MAGIC:
        raise DamagedError("it is no kept cache")
    if start + length != size or length > _LONGEST_HEADER:
        raise DamagedError("it is cut short")
    file.seek(start)
    text = file.read(length)
    if hashlib.sha256(text).digest() != digest:
        raise DamagedError("its header is damaged")
    return start, text


def _about(content: dict[str, Any]) -> About:
    return About(**{**content, "files": tuple(content["files"]), "firsts": tuple(content["firsts"])})


def _parts(rows: Sequence[tuple[str, list[int], int, int]]) -> Iterable[Part]:
    start = _PREAMBLE.size
    for dtype, shape, nbytes, checksum in rows:
        yield Part(dtype=dtype, shape=tuple(shape), nbytes=nbytes, checksum=checksum, start=start)
        start += nbytes


@dataclass(slots=True, kw_only=True)
class Writer:
    """Writes a cache into an empty file, part after part; nothing is valid before ``finish``."""

    descriptor: int
    check: Callable[[], None]
    """Called before each piece; what it raises ends the writing."""
    _rows: list[tuple[str, list[int], int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Leave room for what is written last."""
        os.lseek(self.descriptor, _PREAMBLE.size, os.SEEK_SET)

    def add_ids(self, ids: Sequence[int]) -> None:
        """Write the ids: the first part.

        Raises:
            OSError: the disk is full, or another reason not to write.
        """
        numbers = array("i", ids)
        if struct.pack("=H", 1) != struct.pack("<H", 1):
            numbers.byteswap()
        self.add(IDS, (len(ids),), [memoryview(numbers)])

    def add(self, dtype: str, shape: tuple[int, ...], pieces: Iterable[memoryview]) -> None:
        """Write a part that is given in pieces.

        Raises:
            OSError: as ``add_ids``.
        """
        nbytes = checksum = 0
        for piece in pieces:
            self.check()
            rest = piece.cast("B")
            checksum, nbytes = zlib.crc32(rest, checksum), nbytes + rest.nbytes
            _write(self.descriptor, rest)
        self._rows.append((dtype, list(shape), nbytes, checksum))

    def finish(self, about: About) -> None:
        """Write the header: from now on the file is whole.

        Raises:
            OSError: as ``add_ids``.
        """
        text = json.dumps({"version": VERSION, "about": asdict(about), "parts": self._rows}).encode()
        start = os.lseek(self.descriptor, 0, os.SEEK_CUR)
        os.ftruncate(self.descriptor, start + len(text))
        preamble = _PREAMBLE.pack(_MAGIC, start, len(text), hashlib.sha256(text).digest())
        for content, at in ((text, start), (preamble, 0)):
            os.lseek(self.descriptor, at, os.SEEK_SET)
            _write(self.descriptor, memoryview(content))


def _write(descriptor: int, rest: memoryview) -> None:
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def digest(value: object) -> str:
    """Return a SHA-256 of plain data, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
