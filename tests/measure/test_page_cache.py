"""Files go out of the page cache, and it is counted whether they did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.measure.page_cache import cached_share, can_drop, drop_cached

if TYPE_CHECKING:
    from pathlib import Path


def test_a_dropped_file_is_not_cached_until_it_is_read_again(tmp_path: Path) -> None:
    assert can_drop()
    file = tmp_path / "weights"
    file.write_bytes(bytes(2**20))
    assert cached_share([file]) == 1
    assert drop_cached([file]) in (0.0, 1.0)  # a file system in memory keeps what it has, and that is said
    file.read_bytes()
    assert cached_share([file]) == 1


def test_the_share_is_that_of_all_files_together(tmp_path: Path) -> None:
    sizes = {"small": 2**12, "large": 3 * 2**12, "empty": 0}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(bytes(size))
    assert cached_share([tmp_path / name for name in sizes]) == 1
    assert cached_share([tmp_path / "empty"]) == 0
