"""A quantized copy asks the system for large pages: its weights are read for each token, wherever they lie."""

from __future__ import annotations

import re
from pathlib import Path

from mistral_cli.weights.mapped_tensors import map_file

GRANTED = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def flags(file: Path) -> str:
    """Return what the kernel says of how this process maps ``file`` (``man 5 proc``, VmFlags)."""
    found = re.search(rf"{re.escape(str(file))}\n.*?VmFlags: ([^\n]*)", Path("/proc/self/smaps").read_text(), re.DOTALL)
    assert found
    return found[1]


def test_large_pages_are_asked_for_where_the_system_has_them(tmp_path: Path) -> None:
    file = tmp_path / "copy"
    file.write_bytes(bytes(2**22))
    content = map_file(file, large_pages=True)
    assert ("hg" in flags(file).split()) == GRANTED.exists()
    assert content[:4] == bytes(4)


def test_files_that_are_read_once_are_mapped_as_usual(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    file.write_bytes(bytes(2**22))
    content = map_file(file)
    assert "hg" not in flags(file).split()
    assert content[:4] == bytes(4)
