"""What is said where no library was built, or one that does not load."""

from __future__ import annotations

import _ctypes
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT = """
import sys
from pathlib import Path
import mistral_cli.kernels.library as library
library._FOLDER = Path(sys.argv[1])
print(library.isa())
assert library.reason_against() == library.unavailable() in library.isa()
try:
    library.load()
except library.KernelUnavailableError as error:
    print(error.exit_code, error)
"""


@pytest.mark.parametrize(("content", "said"), [(None, "it was not built"), (b"no library", "does not load")])
def test_without_a_library_it_says_why(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content:
        (tmp_path / "_products.so").write_bytes(content)
    command = [sys.executable, "-c", WITHOUT, str(tmp_path)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0].startswith("unavailable: ")
    assert said in lines[0]
    assert lines[1].startswith("1 The CPU kernel is not available")


def test_a_library_of_another_version_is_named_as_one_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "_products.so").symlink_to(_ctypes.__file__)  # a library that loads, and has none of our functions
    command = [sys.executable, "-c", WITHOUT, str(tmp_path)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "built for another version of the program (it has no products_" in lines[0]
    assert lines[0].endswith("install again")
