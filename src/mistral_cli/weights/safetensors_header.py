"""What a safetensors file says it holds: names, shapes, types, byte ranges. Reads no weights and knows no torch.

The format: eight bytes with the header's length, the header in JSON, the tensors' bytes without a gap.
(https://huggingface.co/docs/safetensors, "Format".) Every number is checked before anything relies on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from mistral_cli.errors import CheckpointError
from mistral_cli.weights.json_file import LARGEST, check_is_file, parse_object

if TYPE_CHECKING:
    from pathlib import Path

DTYPE_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U64": 8,
    "U32": 4,
    "U16": 2,
    "U8": 1,
    "BOOL": 1,
}
"""The format's word for a type -> bytes a number."""

METADATA = "__metadata__"
"""The one name in a header that is no tensor's: an object of texts."""

_AGAIN = "Fetch the model again."
_LFS = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """One tensor of a file, described but not read."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """The format's word: ``BF16``, ``F16``, ``F32``, ``F64``, …"""
    file: Path
    start: int
    """Where its bytes begin, counted from the beginning of the file."""
    end: int
    """Where its bytes end (exclusive)."""

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class RawHeader:
    """A header as it was written."""

    content: dict[str, object]
    """Name -> what describes the tensor; ``METADATA`` -> the metadata."""
    data: int
    """Where the tensors' bytes begin."""
    size: int
    """Bytes of the whole file."""


def read_header(file: Path) -> dict[str, TensorInfo]:
    """Return every tensor of ``file`` by name, in the order of its bytes.

    Raises:
        CheckpointError: no file, a git-lfs pointer, an HTML page, a truncated file, or a header that is damaged: too
            large, not JSON, ranges that overlap, leave a gap, lie outside the file or do not fit their shapes.
    """
    return describe_tensors(file, read_raw_header(file))


def read_raw_header(file: Path) -> RawHeader:
    """Return the header of ``file`` as it stands there, nothing in it checked but that it is a JSON object.

    Raises:
        CheckpointError: no file, a git-lfs pointer, an HTML page, a file that ends before its header does, no JSON.
    """
    check_is_file(file)
    size = file.stat().st_size
    try:
        with file.open("rb") as opened:
            first = opened.read(512)
            _check_beginning(file, first, size)
            length = int.from_bytes(first[:8], "little")
            opened.seek(8)
            header = opened.read(length)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}.", "Check the file and its rights.") from error
    return RawHeader(content=parse_object(header, file), data=8 + length, size=size)


def describe_tensors(file: Path, header: RawHeader) -> dict[str, TensorInfo]:
    """Return every tensor of a header by name, in the order of its bytes.

    Raises:
        CheckpointError: as ``read_header`` has it.
    """
    entries = {name: entry for name, entry in header.content.items() if name != METADATA}
    return _tensors(file, entries, data=header.data, size=header.size)


def _check_beginning(file: Path, first: bytes, size: int) -> None:
    """Refuse what is no safetensors file by its first bytes, in the words that help most."""
    text = first.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(_LFS):
        raise CheckpointError(f"{file} is a git-lfs pointer ({size:,} bytes), not the weights.", "Run `git lfs pull`.")
    if text[:9].lower() in (b"<!doctype", b"<!doctyp") or text[:5].lower() in (b"<html", b"<head"):
        raise CheckpointError(f"{file} is an HTML page ({size:,} bytes), not the weights.", _AGAIN)
    if size < 8:
        raise CheckpointError(f"{file} is truncated: {size} bytes, expected more than 8.", _AGAIN)
    length = int.from_bytes(first[:8], "little")
    if length > LARGEST or (size > 8 and first[8:9] != b"{"):
        raise CheckpointError(f"{file} is no safetensors file: it begins with {first[:8]!r}.", _AGAIN)
    if size < 8 + length:
        raise CheckpointError(f"{file} is truncated: {size:,} bytes, expected more than {8 + length:,}.", _AGAIN)


def _tensors(file: Path, header: dict[str, object], *, data: int, size: int) -> dict[str, TensorInfo]:
    tensors = sorted(
        (_tensor(file, name, entry, data) for name, entry in header.items()), key=lambda t: (t.start, t.end)
    )
    position = data
    for tensor in tensors:
        if tensor.start != position:
            what = "overlaps another" if tensor.start < position else "leaves a gap before it"
            raise _damaged(file, tensor.name, f"its range {what}")
        position = tensor.end
    if size < position:
        raise CheckpointError(f"{file} is truncated: {size:,} bytes, expected {position:,}.", _AGAIN)
    if size > position:
        raise CheckpointError(f"{file} is damaged: {size:,} bytes, expected {position:,}.", _AGAIN)
    return {tensor.name: tensor for tensor in tensors}


def _tensor(file: Path, name: str, entry: object, data: int) -> TensorInfo:
    if not isinstance(entry, dict):
        raise _damaged(file, name, "no object describes it")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise _damaged(file, name, f"its type {dtype!r:.40} is unknown")
    if not _is_sizes(shape) or not _is_sizes(offsets) or len(offsets) != 2:
        raise _damaged(file, name, "its shape or range is no list of whole numbers")
    start, end = offsets
    if end - start != math.prod(shape) * DTYPE_BYTES[dtype]:
        raise _damaged(file, name, f"its range of {end - start:,} bytes does not fit its shape {shape}")
    return TensorInfo(name=name, shape=tuple(shape), dtype=dtype, file=file, start=data + start, end=data + end)


def _is_sizes(value: object) -> TypeGuard[list[int]]:
    if not isinstance(value, list) or len(value) > 8:  # the product of a long list of large numbers takes minutes
        return False
    return all(type(item) is int and 0 <= item < 2**63 for item in value)


def _damaged(file: Path, name: str, what: str) -> CheckpointError:
    return CheckpointError(f"{file} has a damaged header: {name!r:.120}: {what}.", _AGAIN)
