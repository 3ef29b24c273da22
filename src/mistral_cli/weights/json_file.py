"""Small JSON files that others wrote: read with a bound, never trusted. Knows no model and no torch."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from mistral_cli.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 16 * 2**20
"""Bytes. The index of the largest published model has under one million."""


def read_object(path: Path) -> dict[str, object]:
    """Return the JSON object that ``path`` holds.

    Raises:
        CheckpointError: no file there, or no JSON object in it, or more of it than any model needs.
    """
    return parse_object(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """Return the file's bytes; refuse a dangling link, an unreadable file and one larger than ``LARGEST``."""
    check_is_file(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size  # as much as is read is allocated, however short the file
            content = file.read(min(size, LARGEST) + 1)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.", "Check the file and its rights.") from error
    if len(content) > LARGEST:
        raise CheckpointError(f"{path} is larger than {LARGEST:,} bytes.", "Fetch the model again.")
    return content


def check_is_file(path: Path) -> None:
    """Refuse a path with no file behind it; a link into a cache that was cleaned says so."""
    if path.is_file():
        return
    if path.is_symlink():
        message = f"{path} is a link to {path.readlink()}, which is not there."
        raise CheckpointError(message, "Fetch the model again: part of the cache was removed.")
    raise CheckpointError(f"{path} is missing.", "Fetch the model again.")


def parse_object(content: bytes, path: Path) -> dict[str, object]:
    """Return the JSON object in ``content``, which came from ``path``; a key given twice is refused."""
    try:
        value = json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:  # ValueError: bad JSON, bad UTF-8, numbers of thousands of digits
        reason = str(error) or "nested too deep"
        raise CheckpointError(f"{path} holds no JSON: {reason}.", "Fetch the model again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object.", "Fetch the model again.")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return found
