"""The house stays the house: who may import whom, how long a file may be, what a start may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "mistral_cli"
SOURCES = sorted(PACKAGE.rglob("*.py"))
GROUND = {"errors", "adapting", "contract", "settings", "limits"}
ROOF = {"cli", "commands", "__main__", "__init__", "api"}

# room -> the rooms of this package it may import (itself always)
MAY_IMPORT = {
    "ui": {"adapting", "chat", "text", "contract", "settings", "errors", "limits"},
    "server": {"adapting", "chat", "text", "contract", "settings", "errors", "limits"},
    "jobs": {"adapting", "chat", "text", "contract", "settings", "errors", "limits"},
    "tune": {"backends", "engine", "weights", "model", "text", "contract", "errors"},
    "measure": {"backends", "engine", "weights", "model", "text", "contract", "errors"},
    "backends": {"adapting", "engine", "weights", "model", "text", "contract", "errors"},
    "engine": {"weights", "model", "contract", "errors"},
    "chat": {"adapting", "text", "contract", "settings", "errors", "limits"},
    "weights": {"model", "kernels", "errors"},
    "model": {"errors"},
    "text": {"contract", "errors"},
    "kernels": {"errors"},
    "builtin": set(),
    "prompts": set(),
    "contract": {"adapting", "errors", "limits"},
    "settings": {"contract", "errors", "limits"},
    "adapting": {"errors"},
    "limits": set(),
    "errors": set(),
}
# inside model/: who comes before whom
MODEL_FLOORS = {
    "args": set(),
    "rope": {"args"},
    "cache": {"args"},
    "layers": {"args"},
    "moe": {"args", "layers"},
    "attention": {"args", "rope", "cache", "layers"},
    "transformer": {"args", "rope", "cache", "layers", "moe", "attention"},
}
WITHOUT_TORCH = {"text", "ui", "chat", "jobs", "server", *GROUND, "commands", "cli", "__init__"}
TENSOR_LIBRARIES = {"torch", "transformers", "accelerate", "bitsandbytes", "peft"}


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(tree: ast.AST) -> set[str]:
    """Return every module imported anywhere in ``tree``, in full."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _imports_at_start(tree: ast.Module) -> set[str]:
    """Return the modules imported when the file is imported: outside functions and ``if TYPE_CHECKING``."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        found |= _imports(node)
    return found


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_room_imports_only_the_rooms_it_may(path: Path) -> None:
    room = _room(path)
    if room in ROOF:
        return
    own = {name.split(".")[1] for name in _imports(ast.parse(path.read_text())) if name.startswith("mistral_cli.")}
    assert own - {room, "__version__"} <= MAY_IMPORT[room]


@pytest.mark.parametrize("path", sorted((PACKAGE / "model").glob("[!_]*.py")), ids=_name)
def test_the_model_is_built_from_the_bottom_up(path: Path) -> None:
    imports = _imports(ast.parse(path.read_text()))
    own = {name.split(".")[2] for name in imports if name.startswith("mistral_cli.model.")}
    assert own - {path.stem} <= MODEL_FLOORS[path.stem]


@pytest.mark.parametrize("path", [path for path in SOURCES if _room(path) in WITHOUT_TORCH], ids=_name)
def test_the_upper_half_starts_without_tensors(path: Path) -> None:
    starts = _imports_at_start(ast.parse(path.read_text()))
    assert not {name.split(".")[0] for name in starts} & TENSOR_LIBRARIES
    if _room(path) in {"commands", "cli"}:
        towers = {"model", "weights", "engine", "backends", "measure", "tune"}
        assert not {name.split(".")[1] for name in starts if name.startswith("mistral_cli.")} & towers


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_file_stays_under_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 300


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_no_duration_is_taken_from_a_clock_that_jumps(path: Path) -> None:
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not calls & {"time.time", "time", "datetime.now", "datetime.datetime.now", "datetime.utcnow"}


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert not [path for path in SOURCES if path.stem in {"utils", "util", "common", "helpers", "misc"}]


def test_every_room_says_what_it_is_for() -> None:
    assert all(ast.get_docstring(ast.parse(path.read_text())) for path in SOURCES if path.name != "__main__.py")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["gen", "--help"], ["chat", "--help"]])
def test_help_and_version_import_no_tensor_library(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mistral_cli", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in run.stderr.splitlines() if "|" in line}
    assert "mistral_cli" in imported
    assert not imported & (TENSOR_LIBRARIES | {"mistral_common", "huggingface_hub", "prompt_toolkit", "numpy"})
