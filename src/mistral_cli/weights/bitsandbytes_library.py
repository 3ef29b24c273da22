"""The bitsandbytes package: found without importing it, and imported quietly. Knows none of its layers.

Its import takes two seconds, says on the screen what concerns nobody, and where the package ``kernels`` is installed
fetches code from the hub and runs it, which this program never does.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.metadata
import importlib.util
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_READ = "0.50."
"""The releases whose library is called directly."""


def unavailable(device: object = None) -> str | None:  # noqa: ARG001 (a row of the table is asked for a device)
    """Return why bitsandbytes cannot be used; None where it is installed."""
    return None if _folder() else "bitsandbytes is not installed"


@functools.cache
def has_tiles() -> bool:
    """Tell whether its product of tiled 4-bit weights runs on this processor (AVX-512 with BF16)."""
    library = _library()
    if library is None or not hasattr(library, "has_avx512bf16_cpu"):
        return False
    library.has_avx512bf16_cpu.restype = ctypes.c_bool
    return bool(library.has_avx512bf16_cpu())


@functools.cache
def tiled_product() -> Callable[..., None] | None:
    """Return the product of rows in bfloat16 with tiles of NF4, called without its operator and without the import.

    That takes 5 µs a call instead of 26, of which a token of a 7B has 225. It is no public interface: None in a release
    other than that which was read (``backends/cpu/ops.py``, ``gemv_4bit``), where the operator computes.

    Its arguments: rows, outputs, inputs; the addresses of rows, tiles, scales and the result; weights a scale; numbers
    from a row to the next and from a result to the next.
    """
    if not (has_tiles() and importlib.metadata.version("bitsandbytes").startswith(_READ)):
        return None
    product = getattr(_library(), "gemv_4bit_inference_cpu_nf4_bf16", None)
    if product is None:
        return None
    number, address = ctypes.c_int64, ctypes.c_void_p
    product.argtypes, product.restype = [*[number] * 3, *[address] * 4, *[number] * 3], None
    return cast("Callable[..., None]", product)


@functools.cache
def dequantizer() -> Callable[..., None] | None:
    """Return what makes numbers in bfloat16 of NF4, called as ``tiled_product`` is (``ops.py``, ``dequantize_4bit``).

    Its arguments: the addresses of codes (two a byte), scales in float32 and the result; weights a scale, outputs,
    inputs.
    """
    if not importlib.metadata.version("bitsandbytes").startswith(_READ):
        return None
    convert = getattr(_library(), "cdequantize_blockwise_cpu_nf4_bf16", None)
    if convert is None:
        return None
    convert.argtypes, convert.restype = [*[ctypes.c_void_p] * 3, *[ctypes.c_longlong] * 3], None
    return cast("Callable[..., None]", convert)


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


@functools.cache
def _library() -> ctypes.CDLL | None:
    folder = _folder()
    for path in sorted(folder.glob("libbitsandbytes_cpu.*")) if folder else ():
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            continue
    return None


def _folder() -> Path | None:
    spec = importlib.util.find_spec("bitsandbytes")
    return Path(spec.origin).parent if spec and spec.origin else None
