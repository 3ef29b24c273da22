"""One bench: memory bandwidth, speeds, starts, memory, as one report. Knows no terminal and no flags."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mistral_cli.engine.generate import NativeEngine
from mistral_cli.engine.host_memory import peak_resident
from mistral_cli.measure.bandwidth import read_bandwidth
from mistral_cli.measure.figures import Figure
from mistral_cli.measure.page_cache import can_drop, drop_cached
from mistral_cli.measure.speed import measure_batch, measure_speed
from mistral_cli.measure.starts import own_memory, time_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from mistral_cli.measure.speed import Plan, Row
    from mistral_cli.measure.starts import Start
    from mistral_cli.measure.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """The program started anew, several times in one state of the file cache."""

    label: str
    """``warm``: the model's files are in the system's page cache; ``cold``: they were put out of it."""
    seconds: Figure
    """From the start of the process to the first token of a short prompt."""
    own_memory: int
    """The most bytes that were the program's own at any time, files that it maps not counted."""
    prompt_tokens: int
    cached: float = 1.0
    """The share of the files, 0 to 1, that was in the page cache before."""

    def as_json(self) -> dict[str, object]:
        """Return what ``mistral bench`` prints of it."""
        return {
            "files": self.label,
            "seconds_to_first_token": self.seconds.as_json(),
            "own_memory": self.own_memory,
            "prompt_tokens": self.prompt_tokens,
            "cached_before": round(self.cached, 4),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What this process holds when all has been measured."""

    peak_resident: int
    """Bytes, the pages of mapped files among them."""
    own: int
    """Bytes now, without those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was measured."""

    bandwidth: Figure
    """Bytes a second."""
    rows: tuple[Row, ...]
    starts: tuple[Starts, ...]
    memory: Memory
    weight_bytes: int
    kv_bytes: int

    def bytes_read(self, row: Row) -> int:
        """Return the bytes that one decode step reads: all weights once, keys and values of every row."""
        return self.weight_bytes + row.rows * row.tokens * self.kv_bytes

    def share(self, row: Row) -> float:
        """Return the share of the memory bandwidth that decoding uses: its median speed of the best round of reading.

        What the memory can give is what it gave undisturbed.
        """
        return self.bytes_read(row) / row.seconds.median / self.bandwidth.most

    def as_json(self) -> dict[str, object]:
        """Return the whole as JSON has it; ``bandwidth_share`` is of ``best``."""
        return {
            "read_bandwidth": {"best": self.bandwidth.most, **self.bandwidth.as_json()},
            "weight_bytes_per_token": self.weight_bytes,
            "kv_bytes_per_token": self.kv_bytes,
            "speed": [self._row(row) for row in self.rows],
            "starts": [start.as_json() for start in self.starts],
            "memory": {"peak_resident": self.memory.peak_resident, "own": self.memory.own},
        }

    def _row(self, row: Row) -> dict[str, object]:
        if row.kind == "prefill":
            return row.as_json()
        return {**row.as_json(), "bytes_read": self.bytes_read(row), "bandwidth_share": round(self.share(row), 4)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPlan:
    """How the program is started anew."""

    command: Sequence[str]
    """Answers a short prompt with one token, as ``mistral gen --json`` does."""
    files: tuple[Path, ...]
    """The model's files; those that the program is seen to map are added."""
    repeat: int
    cold: bool = field(default_factory=can_drop)


def measure_starts(plan: StartPlan, notify: Callable[[str], None]) -> list[Starts]:
    """Return warm starts, then cold ones; one before them all fills the caches and is not counted.

    Raises:
        MistralError: the program failed.
    """
    notify("Starting the program, so that its files are cached …")
    first = time_start(plan.command)
    files = {*plan.files, *first.mapped, *time_start(plan.command).mapped}
    notify("Starting the program, its files cached …")
    found = [_summed_up("warm", [time_start(plan.command) for _ in range(plan.repeat)], 1.0)]
    if plan.cold:
        notify("Starting the program, its files not cached …")
        runs = [(drop_cached(files), time_start(plan.command)) for _ in range(plan.repeat)]
        found.append(_summed_up("cold", [start for _, start in runs], max(share for share, _ in runs)))
    return found


def _summed_up(label: str, starts: list[Start], cached: float) -> Starts:
    said = json.loads(starts[0].output)
    return Starts(
        label=label,
        seconds=Figure(tuple(start.seconds for start in starts)),
        own_memory=max(start.own_memory for start in starts),
        prompt_tokens=said["tokens"]["prompt"],
        cached=cached,
    )


def measure_all(
    subject: Subject, plan: Plan, *, batch: int, starts: Iterable[Starts], notify: Callable[[str], None]
) -> Report:
    """Return the report of a loaded model.

    Args:
        subject: the model.
        plan: lengths, depths and repeats.
        batch: answers decoded side by side; below 2, and by another engine than ours, none are.
        starts: what ``measure_starts`` gave, before the model was loaded here.
        notify: told what is being done.

    Raises:
        ContextError: a length or depth that does not fit.
    """
    rows = list(measure_speed(subject.engine, subject.vocab_size, plan, notify))
    if batch > 1 and isinstance(subject.engine, NativeEngine):
        rows.append(measure_batch(subject.engine, subject.vocab_size, batch, plan, notify))
    memory = Memory(peak_resident=peak_resident(), own=own_memory())  # before a large buffer is read
    notify("Measuring how fast memory is read …")
    return Report(
        bandwidth=read_bandwidth(subject.device),
        rows=tuple(rows),
        starts=tuple(starts),
        memory=memory,
        weight_bytes=subject.weight_bytes,
        kv_bytes=subject.kv_bytes,
    )
