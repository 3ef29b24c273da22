"""How many bytes this process may still take, and the most it took. Knows no torch and no model."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
MEMINFO = Path("/proc/meminfo")

_USAGE = {"memory.max": "memory.current", "memory.limit_in_bytes": "memory.usage_in_bytes"}
"""The file of a limit -> the file of what is used: control groups version 2 and 1."""


def host_free() -> int:
    """Return the bytes that can be taken before the machine, or a control group's limit, says no.

    Cached files count as free: the kernel gives them up first.
    """
    return min([_machine_free(MEMINFO), *cgroup_free(CGROUPS, MEMBERSHIP)])


def _machine_free(meminfo: Path) -> int:
    """Return Linux's own estimate; elsewhere all the memory there is."""
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    fields = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if rest.strip()}
    return 1024 * fields.get("MemAvailable", fields["MemFree"])  # kernels before 3.14 estimate nothing


def cgroup_free(root: Path, membership: Path) -> list[int]:
    """Return what is left below each limit of the control groups this process is in, its own and those around it."""
    return [left for folder in _folders(root, membership) for left in _left(folder)]


def _folders(root: Path, membership: Path) -> list[Path]:
    """Return the folders that may hold a memory limit, the innermost first.

    A container may see its own group as the root of the mount while the path names it from the host's view, so every
    folder on the way up is looked at and those that do not exist do no harm.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    folders: list[Path] = []
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "memory" if controllers else root  # version 1 has a tree per controller, version 2 one for all
        parts = Path(path.lstrip("/")).parts
        folders += [top.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
    return folders


def _left(folder: Path) -> list[int]:
    found = []
    for limit, usage in _USAGE.items():
        try:
            most = (folder / limit).read_text(encoding="ascii").strip()
            used = int((folder / usage).read_text(encoding="ascii"))
        except OSError:
            continue
        if most != "max":
            found.append(max(0, int(most) - used + _reclaimable(folder)))
    return found


def _reclaimable(folder: Path) -> int:
    """Return the bytes of cached files in the group: they count as used, but are given up when memory is asked for."""
    try:
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    stat = {name: int(value) for name, _, value in (line.partition(" ") for line in lines)}
    # version 1 counts children only in the names with total_
    return sum(stat.get(f"total_{name}", stat.get(name, 0)) for name in ("active_file", "inactive_file"))


def peak_resident() -> int:
    """Return the most bytes of real memory this process ever held; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415 (POSIX only)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB
