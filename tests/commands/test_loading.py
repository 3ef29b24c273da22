"""Which model is loaded when, and how many threads it gets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mistral_cli.commands.threads import granted_cores

if TYPE_CHECKING:
    from pathlib import Path

CORES = len(os.sched_getaffinity(0))


def _group(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, CORES),
        ({"cpu_dot_max": "max 100000"}, CORES),
        ({"cpu_dot_max": "50000 100000"}, 1),
        ({"cpu_dot_max": "150000 100000"}, min(2, CORES)),
        ({"cpu_dot_max": "99900000 100000"}, CORES),
        ({"cpu_dot_max": "garbage"}, CORES),
        ({"cpu__cpu_dot_cfs_quota_us": "100000", "cpu__cpu_dot_cfs_period_us": "100000"}, 1),
        ({"cpu__cpu_dot_cfs_quota_us": "-1", "cpu__cpu_dot_cfs_period_us": "100000"}, CORES),
    ],
)
def test_threads_are_the_cores_that_the_control_group_grants(tmp_path: Path, files: dict, expected: int) -> None:
    assert granted_cores(_group(tmp_path, **files)) == expected
