"""``mistral perplexity``: a table for people, one object for programs, and what cannot be measured is refused."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from command_line import mistral

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "The KV cache holds the keys and values of all earlier tokens, so that they are computed once.\n" * 3


@pytest.fixture
def text(tmp_path: Path) -> str:
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    return str(file)


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_text_is_measured_by_token_and_by_byte(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    done = mistral(capfd, "perplexity", text, "-m", "builtin", "--window", "32", "--stride", "16")
    assert done.code == 0
    found = json.loads(done.out)
    assert found["bytes"] == pytest.approx(len(TEXT), abs=1)  # sentencepiece begins a text with a space
    bits = math.log2(found["perplexity"]) * found["tokens"] / found["bytes"]
    assert found["bits_per_byte"] == pytest.approx(bits)
    assert "perplexity" in done.err
    assert f"{found['perplexity']:.4f}" in done.err


def test_more_context_does_not_make_a_repeated_text_harder(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    short, long = (
        json.loads(mistral(capfd, "perplexity", text, "-m", "builtin", "--window", size, "--stride", "2", "-q").out)
        for size in ("4", "64")
    )
    assert long["tokens"] == short["tokens"]
    assert long["perplexity"] < short["perplexity"]


def test_a_text_that_is_cut_is_said_to_be(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    done = mistral(capfd, "perplexity", text, "-m", "builtin", "--limit", "10")
    assert json.loads(done.out)["tokens"] == 9
    assert "The first 10 of" in done.err


@pytest.mark.parametrize(
    ("flags", "message"), [(("--window", "1"), "--window is 1"), (("--stride", "0"), "--stride is 0")]
)
def test_windows_that_cannot_be_are_refused(
    text: str, flags: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    done = mistral(capfd, "perplexity", text, "-m", "builtin", *flags)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_an_empty_stdin_is_called_by_its_name() -> None:
    command = [sys.executable, "-m", "mistral_cli", "perplexity", "-", "-m", "builtin"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: stdin is empty: there is nothing to measure. Give a text.\n"


def test_an_empty_text_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").write_text("")
    assert mistral(capfd, "perplexity", str(tmp_path / "empty"), "-m", "builtin").code == 2
