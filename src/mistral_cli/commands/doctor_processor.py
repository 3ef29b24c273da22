"""What this machine's processor is and can do. Reads the system's own files; knows no torch."""

from __future__ import annotations

import platform
import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

FEATURES = (
    *("avx2", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"),  # x86
    *("asimd", "asimddp", "i8mm", "bf16", "sve"),  # ARM
)
"""The kernel's words for what our arithmetic can use."""


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
