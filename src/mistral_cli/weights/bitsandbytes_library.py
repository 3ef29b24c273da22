"""The bitsandbytes package: found without importing it, and imported quietly. Knows none of its layers.

Its import takes two seconds, says on the screen what concerns nobody, and where the package ``kernels`` is installed
fetches code from the hub and runs it, which this program never does.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from typing import Any


def unavailable(device: object = None) -> str | None:  # noqa: ARG001 (a row of the table is asked for a device)
    """Return why bitsandbytes cannot be used; None where it is installed."""
    return None if _folder() else "bitsandbytes is not installed"


@functools.cache
def has_tiles() -> bool:
    """Tell whether its product of tiled 4-bit weights runs on this processor (AVX-512 with BF16)."""
    folder = _folder()
    for path in sorted(folder.glob("libbitsandbytes_cpu.*")) if folder else ():
        try:
            asked = ctypes.CDLL(str(path)).has_avx512bf16_cpu
        except (OSError, AttributeError):
            continue
        asked.restype = ctypes.c_bool
        return bool(asked())
    return False


@functools.cache
def functional() -> Any:
    """Import bitsandbytes and return its functions; its operators are under ``torch.ops.bitsandbytes`` then."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    without_hub = "kernels" not in sys.modules
    if without_hub:
        sys.modules["kernels"] = None  # type: ignore[assignment]  # its import fails, which bitsandbytes expects
    try:
        return importlib.import_module("bitsandbytes.functional")
    finally:
        if without_hub:
            del sys.modules["kernels"]


def _folder() -> Path | None:
    spec = importlib.util.find_spec("bitsandbytes")
    return Path(spec.origin).parent if spec and spec.origin else None
