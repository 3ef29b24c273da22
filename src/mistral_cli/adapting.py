"""What the two towers say to each other of adapters: plain data, one protocol, how one is asked for and named."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mistral_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterChoice:
    """An adapter that somebody asks for."""

    path: str
    """A folder or a hub id, as it was typed."""
    strength: float = 1.0


def _is_there(path: str) -> bool:
    return os.path.lexists(os.path.expanduser(path))  # noqa: PTH111 (~nobody stays as it is)


def read_choice(text: str, exists: Callable[[str], bool] = _is_there) -> AdapterChoice:
    """Return what ``PATH[:SCALE]`` asks for. A path that exists is one, whatever colons it holds.

    Args:
        text: as it was typed.
        exists: tells whether there is something of that name.

    Raises:
        UsageError: the scale is no finite number, or there is no path.
    """
    path, colon, scale = text.rpartition(":")
    if not text.strip() or text.startswith(":"):
        raise UsageError(f"{text!a:.60} names no adapter.", "Name a folder or a hub id: PATH or PATH:SCALE.")
    if not colon or exists(text):
        return AdapterChoice(path=text)
    strength = _number(scale)
    if strength is None and not exists(path):
        return AdapterChoice(path=text)
    if strength is None or not math.isfinite(strength):
        raise UsageError(f"The scale of the adapter {path!a:.80} is {scale!a:.40}, but must be a number.", USUAL)
    return AdapterChoice(path=path, strength=strength)


USUAL = "1 is as it was trained."


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterInfo:
    """A LoRA adapter that is on a model."""

    name: str
    """What it is called while it is loaded."""
    path: str
    strength: float
    """What its own scaling is multiplied with; 1 is as it was trained."""
    rank: int
    parameters: int
    base: str | None = None
    """The model it was trained on, as its trainer called it."""

    @property
    def label(self) -> str:
        """Its name, and its strength where that is not the trained one."""
        return self.name if self.strength == 1 else f"{self.name} × {self.strength:g}"


def labels(adapters: Iterable[AdapterInfo]) -> str:
    """Return the adapters on one line: ``mine, other × 0.5``."""
    return ", ".join(one.label for one in adapters)


def doubt(adapter: AdapterInfo, model: str, path: str) -> str:
    """Return what should be said of an adapter that was plainly trained on another model; empty where nothing should.

    It fits by its shapes, or it would not be there; models of one shape differ in their weights all the same.

    Args:
        adapter: on the model now.
        model: what the model is called.
        path: its folder.
    """
    base = adapter.base
    if base is None or base == model or _real(base) == _real(path):
        return ""
    is_folder = os.path.isdir(_real(base))  # noqa: PTH112 (any text may come)
    if not (is_folder or (_is_id(base) and _is_id(model))):
        return ""  # a folder of somebody else's machine, or a copy of a model under a name of its own
    return f"{adapter.name} was trained on {base}: it fits {model} by its shapes, but may not suit it."


def _real(path: str) -> str:
    try:
        return os.path.realpath(os.path.expanduser(path))  # noqa: PTH111 (~nobody stays as it is)
    except ValueError:  # holds what no file name can
        return ""


def _is_id(name: str) -> bool:
    """Tell whether ``name`` reads as OWNER/NAME."""
    return name.count("/") == 1 and not name.startswith((".", "~", "/")) and not name.endswith("/")


def free_name(wanted: str, path: str, attached: Iterable[AdapterInfo]) -> str:
    """Return ``wanted``, with a number where another adapter than the one at ``path`` has that name."""
    others = {one.name for one in attached if one.path != path}
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, len(others) + 2)))
    return next(name for name in names if name not in others)


class Adapters(Protocol):
    """The adapters on a loaded model; the base's weights are never touched."""

    @property
    def attached(self) -> tuple[AdapterInfo, ...]:
        """What is on the model now, in the order in which it was loaded."""
        ...

    def load(self, folder: Path | str, strength: float = 1.0, *, name: str | None = None) -> AdapterInfo:
        """Put an adapter onto the model; where it cannot be, everything is as it was.

        Args:
            folder: in PEFT's format, or the hub id of one that was fetched.
            strength: what its own scaling is multiplied with.
            name: by default the folder's, with a number where another has it; one of the name given is replaced.

        Raises:
            ModelNotFoundError: no such folder.
            CheckpointError: damaged, of an unknown kind, or for another model.
            UsageError: a strength that is no number.
        """
        ...

    def scale(self, name: str, strength: float) -> AdapterInfo:
        """Weigh an adapter anew.

        Raises:
            UsageError: none of that name is loaded, or a strength that is no number.
        """
        ...

    def off(self, name: str | None = None) -> None:
        """Take one adapter off the model, all by default: it is bit for bit as if never loaded."""
        ...
