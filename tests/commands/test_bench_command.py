"""``mistral bench``: a table for people on stderr, one JSON object on stdout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from command_line import mistral

from mistral_cli.commands.bench_run import Ask
from tiny_checkpoint import write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_bench_shows_a_table_and_prints_one_object(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_checkpoint(tmp_path)
    done = mistral(
        capfd, "bench", str(tmp_path), "--prompt-lengths", "16", "--depths", "4,9", "--no-starts", "--repeat", "2"
    )
    assert done.code == 0
    report = json.loads(done.out)
    assert done.out.count("\n") == 1
    assert [(row["kind"], row["tokens"], row["rows"]) for row in report["speed"]] == [
        ("prefill", 16, 1),
        ("decode", 4, 1),
        ("decode", 9, 1),
        ("batch", 16, 8),
    ]
    assert len(report["speed"][0]["seconds"]["values"]) == 2
    assert report["model"]["name"] == str(tmp_path)
    assert report["machine"]["threads"] == 1
    assert "decoding 8 answers after 16 tokens" in done.err
    assert "Memory is read at" in done.err


def test_a_quick_bench_starts_nothing_and_makes_no_batch(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = mistral(capfd, "bench", str(write_checkpoint(tmp_path)), "--quick")
    report = json.loads(done.out)
    assert [row["kind"] for row in report["speed"]] == ["prefill", "decode"]
    assert report["starts"] == []


def test_the_program_is_started_anew_warm_and_cold(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_checkpoint(tmp_path)
    flags = ("--prompt-lengths", "", "--depths", "", "--batch", "1", "--repeat", "1", "--starts", "--quiet")
    done = mistral(capfd, "bench", str(tmp_path), "--quantize", "none", *flags)
    assert (done.code, done.err) == (0, "")
    warm, cold = json.loads(done.out)["starts"]
    assert (warm["files"], cold["files"]) == ("warm", "cold")
    assert warm["seconds_to_first_token"]["median"] > 0
    assert warm["own_memory"] > 2**20


def test_random_weights_need_no_model(capfd: pytest.CaptureFixture[str]) -> None:
    done = mistral(capfd, "bench", "--random", "tiny", "--quantize", "nf4", "--quick", "--prompt-lengths", "8")
    assert done.code == 0
    assert json.loads(done.out)["model"]["quantization"] == "nf4"


def test_a_random_model_that_is_kept_is_an_ordinary_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "kept"
    done = mistral(capfd, "bench", "--random", "tiny", "--keep", str(folder), "--quick")
    assert json.loads(done.out)["model"]["name"] == str(folder)
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert mistral(capfd, "bench", "--random", "tiny", "--keep", str(folder), "--quick").code == 0
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    assert mistral(capfd, "tokens", "--model", str(folder), "--no-stdin", "hello").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "--model", "b"], "given twice"),
        (["a", "--random", "tiny"], "and --random too"),
        (["a", "--keep", "b"], "Add --random"),
        (["--random", "8b"], "no shape '8b'"),
        (["builtin", "--depths", "1,x"], "--depths is '1,x'"),
        (["builtin", "--prompt-lengths", "0"], "whole numbers above 0"),
    ],
)
def test_flags_that_cannot_be_are_refused(
    arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    done = mistral(capfd, "bench", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_a_depth_that_does_not_fit_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    done = mistral(capfd, "bench", "builtin", "--quick", "--depths", "5000")
    assert (done.code, done.out) == (6, "")
    assert "takes 5,000 tokens, but the context holds 2,048" in done.err


def test_what_was_not_asked_for_is_left_out_where_it_does_not_fit() -> None:
    usual = Ask(lengths=None, depths=None, batch=1, repeat=1, starts=False)
    assert usual.plan(8192).prompt_lengths == (128, 512)
    assert usual.plan(8192).depths == (100, 1000)
    assert usual.plan(600).depths == (100,)
    assert usual.plan(100).prompt_lengths == ()
