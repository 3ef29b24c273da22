"""The compiled library: found, loaded, asked what the processor can do. Knows addresses; knows no tensor.

It is built when the package is installed. Where that was not possible, ``unavailable`` says why and callers go another
way; nothing here raises until a product is asked for.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mistral_cli.errors import MistralError

FORCE = "MISTRAL_CLI_KERNEL"
"""Environment variable with the name of a lesser variant to use, for comparisons: ``portable``, ``avx2``, …; NONE."""
NONE = "none"
"""The value of FORCE that does without the library, as if it had not been built."""

_FOLDER = Path(__file__).parent
_TYPES = {"p": ctypes.c_void_p, "l": ctypes.c_int64, "i": ctypes.c_int32, "b": ctypes.c_char_p}
_SIGNATURES: dict[str, tuple[Any, str]] = {
    "products_use_threads_of": (None, "p"),
    "products_variant": (ctypes.c_char_p, "i"),
    "products_joined": (ctypes.c_int32, "bl"),
    "products_pack": (None, "pllpi"),
    "products_unpack": (None, "pllpi"),
    "products_quantize": (None, "ipipillppi"),
    "products_dequantize": (None, "pppllpii"),
    "products_nest": (None, "plpppi"),
    "elementwise_norm": (None, "b"),
    "elementwise_gate": (None, "b"),
    "elementwise_place": (None, "b"),
    "layers_pass": (ctypes.c_int32, "b"),
    "layers_watch": (None, "p"),
    "updates_add": (ctypes.c_int32, "bl"),
    "attention_variant": (ctypes.c_char_p, "i"),
    "attention_attend": (ctypes.c_int32, "bb"),
    "attention_keep": (None, "b"),
}
"""Function -> what it returns and takes (letters of ``_TYPES``), as declared in ``csrc/``."""

CALL: Final = struct.Struct("@14qd")
"""``Call`` of ``csrc/products.h``: one argument is passed faster than its fifteen fields."""


class KernelUnavailableError(MistralError):
    """The library was not built here, or has not the variant that is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The loaded library's functions, and which of its variants to use."""

    functions: ctypes.CDLL
    variants: tuple[str, ...]
    """Those that this processor has, the best first."""
    best: int
    """The one to use: the first, unless another is forced."""

    def index(self, variant: str | None = None) -> int:
        """Return the number of a variant by its name; of the one to use for None.

        Raises:
            KernelUnavailableError: this processor, or this build, has no such variant.
        """
        if variant is None:
            return self.best
        if variant not in self.variants:
            there = ", ".join(self.variants)
            raise KernelUnavailableError(f"The CPU kernel has no variant {variant!r} here.", f"There are: {there}.")
        return self.variants.index(variant)


def isa() -> str:
    """Return the name of the variant in use, as ``avx512-vnni``; ``unavailable: why`` where there is none."""
    loaded = _load()
    return f"unavailable: {loaded}" if isinstance(loaded, str) else loaded.variants[loaded.best]


def unavailable() -> str | None:
    """Return why there is no library; None where it works."""
    loaded = _load()
    return loaded if isinstance(loaded, str) else None


def reason_against() -> str | None:
    """Return why another way of computing should be taken: there is no library, or no fast variant; None to use it."""
    loaded = _load()
    if isinstance(loaded, str):
        return loaded
    if loaded.variants[0] == "portable" and not os.environ.get(FORCE):
        return "this processor has neither AVX2 nor NEON's dot products"
    return None


def load() -> Library:
    """Return the library.

    Raises:
        KernelUnavailableError: it was not built, or does not load.
    """
    loaded = _load()
    if isinstance(loaded, str):
        raise KernelUnavailableError(
            f"The CPU kernel is not available: {loaded}.", "Install the package again where a C++ compiler is found."
        )
    threaded()
    return loaded


@functools.cache
def threaded() -> bool:
    """Connect the products to torch's threads, and return whether they are there: else all runs on the caller's.

    To be asked once torch is imported.
    """
    loaded, team = _load(), _openmp()
    if isinstance(loaded, str) or team is None:
        return False
    loaded.functions.products_use_threads_of(team)
    return True


@functools.cache
def _load() -> Library | str:
    if os.environ.get(FORCE) == NONE:
        return f"{FORCE} is {NONE!r}"
    path = _FOLDER / "_products.so"
    if not path.exists():
        return "it was not built when the package was installed (no C++ compiler?)"
    try:
        functions = ctypes.CDLL(str(path))
    except OSError as error:
        return f"{path.name} does not load ({error})"
    missing = [name for name in _SIGNATURES if not hasattr(functions, name)]
    if missing:
        return f"{path.name} was built for another version of the program (it has no {missing[0]}): install again"
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(functions, name)
        function.restype, function.argtypes = result, [_TYPES[letter] for letter in arguments]
    variants = _variants(functions)
    forced = os.environ.get(FORCE) or variants[0]
    if forced not in variants:
        return f"{FORCE} is {forced!r}, but this machine has {', '.join(variants)}"
    return Library(functions=functions, variants=variants, best=variants.index(forced))


def _variants(functions: ctypes.CDLL) -> tuple[str, ...]:
    names: list[str] = []
    while name := functions.products_variant(len(names)):
        names.append(name.decode())
    return tuple(names)


def _openmp() -> ctypes.c_void_p | None:
    """Return the address of GOMP_parallel in the OpenMP runtime that torch brought into the process.

    A second runtime would be a second pool of threads that spins while torch's works. Not linked to, because wheels of
    torch carry it under changing names. None, and then one thread, where torch was built without.
    """
    for path in _openmp_files():
        try:
            runtime = ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD | os.RTLD_LAZY)  # only if it is there already
            return ctypes.cast(runtime.GOMP_parallel, ctypes.c_void_p)
        except (OSError, AttributeError):
            continue
    return None


def _openmp_files() -> list[Path]:
    """Return what may be torch's OpenMP runtime: libgomp, or LLVM's and Intel's, which answer to the same calls."""
    torch = sys.modules.get("torch")
    if torch is None or torch.__file__ is None:
        return []
    home = Path(torch.__file__).parent
    patterns = ("libgomp*", "libomp*", "libiomp*")
    bundled = [path for folder in (home / "lib", home.with_name("torch.libs")) for path in _matching(folder, patterns)]
    return [*bundled, Path("libgomp.so.1"), Path("libomp.so.5"), Path("libiomp5.so")]


def _matching(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in sorted(folder.glob(pattern))]
