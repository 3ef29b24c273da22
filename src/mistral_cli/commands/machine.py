"""What this machine grants: cores, and what its processor can do. Reads the system's own files; knows no torch."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
CPUINFO = Path("/proc/cpuinfo")

FEATURES = (
    *("avx2", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"),  # x86
    *("asimd", "asimddp", "i8mm", "bf16", "sve"),  # ARM
)
"""The kernel's words for what our arithmetic can use."""


def granted_cores(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Return how many cores this process may use: its affinity, less where a control group grants less."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _groups(cgroups, membership) if (quota := _quota(folder)) is not None]
    return max(1, min([cores, *(int(quota + 0.999) for quota in quotas)]))


def _groups(cgroups: Path, membership: Path) -> list[Path]:
    """Return the folders that may hold a quota: this process's group and those around it, versions 2 and 1."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    folders: list[Path] = []
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = cgroups / "cpu" if controllers else cgroups
        parts = Path(path.lstrip("/")).parts
        folders += [top.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
    return folders


def _quota(folder: Path) -> float | None:
    """Return the cores that one control group grants, or None where it sets no limit."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return int(quota) / int(period) if quota.isdecimal() and int(period) else None


def processor_name(cpuinfo: Path = CPUINFO) -> str:
    """Return the processor's name as the system has it."""
    named = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", _read(cpuinfo), re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()


def processor_features(cpuinfo: Path = CPUINFO) -> tuple[str, ...]:
    """Return those of ``FEATURES`` that the processor has; empty where the system does not list them."""
    listed = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _read(cpuinfo), re.MULTILINE)
    words = set(listed[1].split()) if listed else set()
    return tuple(feature for feature in FEATURES if feature in words)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
