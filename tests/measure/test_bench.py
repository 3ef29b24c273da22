"""A bench brings speeds, bandwidth, starts and memory together in one report."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from mistral_cli.backends.hf import load_hf
from mistral_cli.backends.native import load_native
from mistral_cli.errors import UsageError
from mistral_cli.measure.bench import Memory, Report, StartPlan, measure_all, measure_starts
from mistral_cli.measure.figures import Figure
from mistral_cli.measure.speed import Plan, Row
from mistral_cli.measure.subjects import native, random_subject, subject_of
from tiny_checkpoint import tiny_args, write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan(prompt_lengths=(8,), depths=(4,), repeat=1, tokens=2)


def silent(_text: str) -> None:
    """Take no notice."""


def report_of(*rows: Row) -> Report:
    return Report(
        bandwidth=Figure((90.0, 100.0)),
        rows=rows,
        starts=(),
        memory=Memory(peak_resident=2, own=1),
        weight_bytes=40,
        kv_bytes=1,
    )


@pytest.mark.parametrize(("kind", "rows", "read"), [("decode", 1, 50), ("batch", 3, 70)])
def test_the_share_of_the_bandwidth_counts_weights_once_and_the_cache_of_every_row(
    kind: str, rows: int, read: int
) -> None:
    row = Row(kind=kind, tokens=10, rows=rows, seconds=Figure((2.0,)))
    report = report_of(row)
    assert report.bytes_read(row) == read
    assert report.share(row) == pytest.approx(read / 2 / 100)
    found = report.as_json()
    assert found["speed"][0]["bandwidth_share"] == pytest.approx(read / 2 / found["read_bandwidth"]["best"])
    assert (found["read_bandwidth"]["best"], found["read_bandwidth"]["median"]) == (100, 95)


def test_a_random_model_is_measured_whole() -> None:
    subject = random_subject(
        "a", tiny_args(320), dtype="float32", device="cpu", quantize=None, kv="none", context=64, notify=silent
    )
    said: list[str] = []
    report = measure_all(subject, PLAN, batch=2, starts=(), notify=said.append)
    assert [row.kind for row in report.rows] == ["prefill", "decode", "batch"]
    assert all(row.speed.least > 0 for row in report.rows)
    assert report.weight_bytes == 4 * tiny_args(320).parameters
    assert 0 < report.memory.own < report.memory.peak_resident
    assert said[-1].startswith("Measuring how fast memory is read")
    json.dumps(report.as_json())


def test_a_model_that_transformers_runs_is_measured_but_for_batches(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    backend = load_hf(tmp_path, name="tiny", device="cpu")
    subject = subject_of(backend)
    assert subject.about["backend"] == "hf"
    assert subject.weight_bytes == 4 * tiny_args().parameters
    report = measure_all(subject, PLAN, batch=2, starts=(), notify=silent)
    assert [row.kind for row in report.rows] == ["prefill", "decode"]
    with pytest.raises(UsageError, match="not run by our own engine"):
        native(backend)


def test_a_loaded_model_is_measured_without_an_end_of_answers(tmp_path: Path) -> None:
    backend = load_native(write_checkpoint(tmp_path), name="tiny")
    subject = subject_of(backend)
    assert native(backend) is backend
    assert subject.engine is not backend.engine
    assert subject.engine.context == backend.info.context


def program(folder: Path) -> list[str]:
    """Print what ``mistral gen --json`` does while a file of weights is mapped, and count the starts."""
    text = (
        "import fcntl, json, mmap, sys, termios; from pathlib import Path; folder = Path(sys.argv[1]); "
        "(folder / 'starts').open('a').write('x'); opened = (folder / 'kept.safetensors').open('rb'); "
        "content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ); "
        "print(json.dumps({'tokens': {'prompt': 16}}), flush=True)\n"
        "while any(fcntl.ioctl(1, termios.FIONREAD, bytes(4))): pass  # until it was read, and looked at before that"
    )
    return [sys.executable, "-S", "-c", text, str(folder)]


def test_starts_are_warm_then_cold_and_the_first_two_are_not_counted(tmp_path: Path) -> None:
    for name in ("kept", "given"):
        (tmp_path / f"{name}.safetensors").write_bytes(bytes(2**20))
    plan = StartPlan(command=program(tmp_path), files=(tmp_path / "given.safetensors",), repeat=2)
    warm, cold = measure_starts(plan, silent)
    assert (tmp_path / "starts").read_text() == "x" * 6
    assert (warm.label, cold.label) == ("warm", "cold")
    assert len(warm.seconds.values) == len(cold.seconds.values) == 2
    assert (warm.prompt_tokens, warm.cached) == (16, 1)
    assert warm.as_json()["own_memory"] == warm.own_memory > 2**20


def test_files_that_the_program_maps_are_put_out_of_the_cache_too(tmp_path: Path) -> None:
    from mistral_cli.measure.starts import time_start

    (tmp_path / "kept.safetensors").write_bytes(bytes(2**20))
    assert time_start(program(tmp_path)).mapped == {tmp_path / "kept.safetensors"}
