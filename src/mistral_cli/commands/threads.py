"""How many CPU threads the machine, or the control group around us, grants. Knows no torch."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
TINY: Final = 20_000_000
"""Parameters under which a second thread gains nothing, and on a busy machine costs ten times what it computes."""


def choose_threads(asked: int | None, parameters: int) -> int:
    """Return the threads for a model of so many parameters: those asked for, one for a tiny one, else all granted."""
    return asked or (1 if parameters < TINY else granted_cores())


def granted_cores(cgroups: Path = CGROUPS) -> int:
    """Return the cores this process may use: its affinity, cut to the control group's quota; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroups)
    return max(1, min(cores, math.ceil(quota))) if quota else cores


def _quota(cgroups: Path) -> float:
    """Return the cores that version 2 (``cpu.max``) or 1 of control groups allows; 0 where there is no limit."""
    try:
        most, period = (cgroups / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        most, period = _read(cgroups / "cpu" / "cpu.cfs_quota_us"), _read(cgroups / "cpu" / "cpu.cfs_period_us")
    try:
        return max(0.0, int(most) / int(period))
    except (ValueError, ZeroDivisionError):
        return 0.0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return "max"
