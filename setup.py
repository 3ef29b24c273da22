"""Builds the products' library with the package: each variant with its own flags, one shared object, no headers needed.

Everything else stands in pyproject.toml. Without a C++ compiler the package installs without the library.
"""

from __future__ import annotations

import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

SOURCES = "src/mistral_cli/kernels/csrc"
# no contraction: a result must not depend on which multiplications a compiler fuses with additions
FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fno-exceptions", "-fno-rtti", "-ffp-contract=off", "-g0", "-w"]
VARIANTS = {
    "x86_64": {
        "avx512vbmi.cpp": [
            *("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni", "-mavx512vbmi"),
            "-mprefer-vector-width=512",
        ],
        "avx512.cpp": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni", "-mprefer-vector-width=512"],
        "avxvnni.cpp": ["-mavx2", "-mfma", "-mavxvnni"],
        "avx2.cpp": ["-mavx2", "-mfma"],
        "attention_avx512bf16.cpp": [
            *("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512bf16"),
            "-mprefer-vector-width=512",
        ],
        "attention_avx512.cpp": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mprefer-vector-width=512"],
        "attention_avx2.cpp": ["-mavx2", "-mfma"],
    },
    "aarch64": {"neon.cpp": ["-march=armv8.2-a+dotprod"]},
}
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # other names for the same


class BuildProducts(build_ext):
    """Compiles a plain shared library where setuptools expects a Python module."""

    def build_extension(self, ext: Extension) -> None:
        """Compile each source with the flags of its variant, without them where the compiler has no such flag."""
        machine = platform.machine().lower()
        variants = VARIANTS.get(MACHINES.get(machine, machine), {})
        objects = []
        for source in ext.sources:
            special = variants.get(Path(source).name, [])
            try:
                objects += self._compile(source, [*FLAGS, *special])
            except CompileError:
                if not special:
                    raise
                objects += self._compile(source, FLAGS)  # this variant reports itself absent
        self.compiler.link_shared_object(objects, self.get_ext_fullpath(ext.name), target_lang="c++")

    def _compile(self, source: str, flags: list[str]) -> list[str]:
        return self.compiler.compile([source], output_dir=self.build_temp, extra_postargs=flags)

    def get_ext_filename(self, fullname: str) -> str:
        """Return a name that says nothing of Python's version: the library does not know it."""
        return str(Path(*fullname.split("."))) + ".so"


class AnyPythonWheel(bdist_wheel):
    """Marks a wheel as made for the platform, for every Python 3."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return (python, abi, platform)."""
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[
        Extension(
            "mistral_cli.kernels._products",
            sources=[f"{SOURCES}/{path.name}" for path in sorted(Path(SOURCES).glob("*.cpp"))],
            depends=[f"{SOURCES}/{path.name}" for path in sorted(Path(SOURCES).glob("*.h"))],
            language="c++",
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildProducts, "bdist_wheel": AnyPythonWheel},
)
