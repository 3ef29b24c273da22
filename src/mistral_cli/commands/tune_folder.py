"""The folder of a training: what may stand in it before, and what is written beside the adapter. Knows no model."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mistral_cli.commands.tune_prepare import RECIPE
from mistral_cli.errors import UsageError
from mistral_cli.ui.console import Console

METRICS: Final = "metrics.jsonl"
"""One JSON object for each step and each evaluation."""
_ADAPTER: Final = "adapter_model.safetensors"
"""Written last: where it stands the training is over."""


def check_folder(folder: Path, *, resume: bool) -> bool:
    """Refuse a folder that holds something that a training would lose; return whether there is one to go on with.

    A recipe and metrics alone are what a training left that came to no whole checkpoint: nothing is lost with them.

    Raises:
        UsageError: it is a file, cannot be read, or holds something; a training that is over, where one should go on.
    """
    from mistral_cli.tune.training.checkpoints import FOLDER, find_checkpoints

    try:
        names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    except NotADirectoryError:
        raise UsageError(f"--output: {folder} is a file, but an adapter is a folder.", "Name another.") from None
    except OSError as error:
        raise UsageError(f"--output: {folder} cannot be read: {error.strerror}.", "Name another.") from None
    kept = names - {RECIPE, METRICS} - (set() if find_checkpoints(folder) else {FOLDER})
    if resume and _ADAPTER in names:
        raise UsageError(f"The training in {folder} is over.", "Leave out --resume, and name a new folder.")
    if kept and not resume:
        what = "holds an adapter already" if _ADAPTER in names else "is not empty"
        can_go_on = RECIPE in names and _ADAPTER not in names
        what, hint = ("holds a training that is not over", "Add --resume, or ") if can_go_on else (what, "")
        raise UsageError(f"--output: {folder} {what}.", f"{hint}name a new folder.".capitalize())
    return FOLDER in kept


def make_folder(folder: Path) -> None:
    """Make the folder, before hours are spent on what should go into it.

    Raises:
        UsageError: it cannot be made, or not written into.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"--output: {folder} cannot be written: {error.strerror}.", "Name another folder.") from None


@dataclass(slots=True, kw_only=True)
class Metrics:
    """The file of all steps. Where it cannot be written that is said, and the training goes on."""

    path: Path
    console: Console
    resume: bool
    """Whether what the file holds is kept, but for steps that are done again."""
    _pending: list[Mapping[str, object]] = field(default_factory=list)
    _is_open: bool = False
    _is_lost: bool = False

    def add(self, record: Mapping[str, object], *, now: bool = True) -> None:
        """Write one record; where not ``now``, with the next: a training that never takes a step leaves no file."""
        self._pending.append(record)
        if not now or self._is_lost:
            return
        try:
            self._write()
        except OSError as error:
            self._is_lost = True
            self.console.warning(f"{self.path} cannot be written ({error.strerror}): the training goes on without it.")

    def earlier(self, before: int) -> list[dict[str, object]]:
        """Return what an interrupted training wrote of the steps before this one."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines() if self.resume else []
        except OSError:
            return []
        return [record for record in map(_read, lines) if record is not None and _step(record) < before]

    def _write(self) -> None:
        records = self._pending
        if not self._is_open:
            first = min(_step(record) for record in records if record["kind"] == "step")
            kept = self.earlier(first)
            known = {(record["kind"], record["step"]) for record in kept}
            records = [*kept, *(record for record in records if (record["kind"], record["step"]) not in known)]
        text = "".join(f"{json.dumps(record)}\n" for record in records)
        if self._is_open:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
        else:
            write_beside(self.path, text)
            self._is_open = True
        self._pending = []


def _read(line: str) -> dict[str, object] | None:
    """Return a line's record; None for one that a process could not end."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "kind" in record and "step" in record else None


def _step(record: Mapping[str, object]) -> int:
    step = record["step"]
    return step if isinstance(step, int) else 0


def write_beside(path: Path, text: str) -> None:
    """Write a file under another name and rename it: it is whole, or as it was.

    Raises:
        OSError: no room, or no right.
    """
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", delete=False) as file:
        beside = Path(file.name)
        try:
            file.write(text)
            file.flush()
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
