"""One quantized copy of a checkpoint: a safetensors file whose tensors are used where they lie. Knows no torch.

What a copy was made of and for stands in the file's metadata (``Identity``), with a checksum over the whole header, so
that a copy of something else, of an older layout, cut short or with a damaged header is never used. The bytes of the
tensors have no checksum: to compute it would cost more than the rest of a start. A flipped bit there does what one in
the checkpoint does, it changes a weight (a 4-bit code, or the scale of one group), and goes unnoticed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mistral_cli.errors import CheckpointError
from mistral_cli.weights.safetensors_header import METADATA, RawHeader, describe_tensors, read_raw_header

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mistral_cli.weights.files import CheckpointFiles
    from mistral_cli.weights.safetensors_header import TensorInfo

VERSION = 1
"""Of this file's own structure; each layout of quantized weights has another."""

ALIGNMENT = 64
"""Bytes: a cache line, and the widest register that reads weights."""

_PAGE = 4096
_PER_TENSOR, _AT_LEAST = 1024, 2**16
"""Bytes of header reserved for a tensor of the model (the descriptions of those that it becomes), and beside them."""

_PADDING = "_padding."
"""How the names of the tensors begin that only fill up to the next boundary: the format allows no gap."""

_ABOUT, _CHECKSUM = "mistral_cli", "sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStamp:
    """A file of the checkpoint as the disk knows it, without a look inside.

    No program can give other bytes to a file and leave all of these alone: writing sets both times, a file put in its
    place has a change time of its own, and that time cannot be set back as the other one can.
    """

    path: str
    """The real path; for what came from the hub it ends with the hash of the bytes."""
    size: int
    modified: int
    """Nanoseconds, as all times here."""
    changed: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """Return the stamp of a file that is there."""
        real = path.resolve()
        status = real.stat()
        return cls(path=str(real), size=status.st_size, modified=status.st_mtime_ns, changed=status.st_ctime_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a quantized copy was made of and for. Two equal ones have the same bytes."""

    files: tuple[FileStamp, ...]
    """The config and every file of weights."""
    scheme: str
    layout: str
    """Name and version of the quantized bytes; it names the processor's kind where they depend on it."""
    device: str
    """``cpu``, ``cuda``: the kind, whichever of them."""
    dtype: str
    """Of what is not quantized."""

    @property
    def key(self) -> str:
        """Return a short name for it, of hexadecimal digits."""
        return _digest([VERSION, asdict(self)])[:12]


def identify(files: CheckpointFiles, *, scheme: str, layout: str, device: str, dtype: str) -> Identity:
    """Return the identity of a copy of these files.

    Raises:
        CheckpointError: one of them went away.
    """
    try:
        stamps = tuple(FileStamp.of(file) for file in (files.config, *files.weights))
    except OSError as error:
        message = f"{error.filename} cannot be looked at: {error.strerror}."
        raise CheckpointError(message, "Check the file and its rights.") from error
    return Identity(files=stamps, scheme=scheme, layout=layout, device=device, dtype=dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A whole quantized copy on the disk."""

    path: Path
    model: str
    """What people call the model it was made of."""
    identity: Identity
    tensors: dict[str, TensorInfo]
    nbytes: int


def read_stored(path: Path) -> Stored:
    """Return what is in a quantized copy; the weights are not read.

    Raises:
        CheckpointError: it is truncated, no copy of ours, of another version, or its header is damaged.
    """
    header = read_raw_header(path)
    about = _about(path, header)
    try:
        stamps = tuple(FileStamp(**stamp) for stamp in about["identity"].pop("files"))
        identity = Identity(files=stamps, **about["identity"])
        tensors = describe_tensors(path, header)
        return Stored(path=path, model=about["model"], identity=identity, tensors=_real(tensors), nbytes=header.size)
    except (KeyError, TypeError, AttributeError) as error:
        raise _foreign(path) from error


def _real(tensors: dict[str, TensorInfo]) -> dict[str, TensorInfo]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(_PADDING)}


def _about(path: Path, header: RawHeader) -> dict[str, Any]:
    """Return what our metadata says, once the checksum is found right."""
    metadata = header.content.get(METADATA)
    if not isinstance(metadata, dict) or _ABOUT not in metadata:
        raise _foreign(path)
    stated = metadata.pop(_CHECKSUM, None)
    if stated != _digest(header.content):
        raise CheckpointError(f"{path} has a damaged header: its checksum is another.", "Remove it.")
    about = json.loads(metadata[_ABOUT])
    if about.get("version") != VERSION:
        raise CheckpointError(f"{path} was written by another version of this program.", "Remove it.")
    return dict(about)


def _foreign(path: Path) -> CheckpointError:
    return CheckpointError(f"{path} is no quantized copy of a model.", "Remove it.")


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@dataclass(slots=True, kw_only=True)
class Writer:
    """Writes a copy into an open file, tensor after tensor; nothing is valid before ``finish``.

    Args:
        descriptor: of an empty file, open for writing.
        header: bytes kept free for the header, see ``header_bytes``.
        guard: what each tensor is written within, to say more of an ``OSError``.
    """

    descriptor: int
    header: int
    guard: Callable[[], AbstractContextManager[None]] = nullcontext
    _entries: dict[str, object] = field(default_factory=dict)
    _written: int = 0

    def __post_init__(self) -> None:
        """Go to where the first tensor begins."""
        os.lseek(self.descriptor, self.header, os.SEEK_SET)

    def add(self, name: str, dtype: str, shape: tuple[int, ...], content: memoryview) -> None:
        """Write a tensor at the next boundary.

        Args:
            name: its name in the file.
            dtype: its type in safetensors' word.
            shape: its sizes.
            content: its bytes.

        Raises:
            OSError: the disk is full, or another reason not to write.
        """
        gap = -self._written % ALIGNMENT
        with self.guard():
            if gap:
                self._append(f"{_PADDING}{len(self._entries)}", "U8", (gap,), memoryview(bytes(gap)))
            self._append(name, dtype, shape, content)

    def _append(self, name: str, dtype: str, shape: tuple[int, ...], content: memoryview) -> None:
        start, self._written = self._written, self._written + content.nbytes
        self._entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, self._written]}
        rest = content.cast("B")
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def finish(self, model: str, identity: Identity) -> None:
        """Write the header and bring all to the disk: from now on the file is whole.

        Raises:
            OSError: as for ``add``; also where the header outgrew its place.
        """
        about = json.dumps({"version": VERSION, "model": model, "identity": asdict(identity)})
        content: dict[str, object] = {METADATA: {"format": "pt", _ABOUT: about}, **self._entries}
        checksum = _digest(content)
        content[METADATA] = {"format": "pt", _ABOUT: about, _CHECKSUM: checksum}
        text = json.dumps(content).encode()
        if len(text) > self.header - 8:
            raise OSError(errno.EFBIG, "the header outgrew the place that was kept for it")
        os.ftruncate(self.descriptor, self.header + self._written)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        os.write(self.descriptor, (self.header - 8).to_bytes(8, "little") + text.ljust(self.header - 8))
        os.fsync(self.descriptor)
        if hasattr(os, "posix_fadvise"):
            # what was written lies in small pages; out of memory, it is mapped in large ones (``map_file``)
            os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def header_bytes(tensors: int) -> int:
    """Return the bytes to keep free for the header of a model of so many tensors: whole pages."""
    return _AT_LEAST + -(-tensors * _PER_TENSOR // _PAGE) * _PAGE
