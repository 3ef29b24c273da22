"""``mistral quant-diff``: two settings of one model, compared on somebody's own prompts or text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from command_line import mistral

from mistral_cli.commands.sides import read_side
from mistral_cli.errors import UsageError
from mistral_cli.kernels import library
from mistral_cli.settings.load import load_settings

if TYPE_CHECKING:
    from pathlib import Path

PROMPTS = "What is a KV cache?\n\nHow do I stop an answer?\nWhat is RoPE?\n"


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    file = tmp_path / "prompts.txt"
    file.write_text(PROMPTS)
    return str(file)


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def diff(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    done = mistral(capfd, "quant-diff", *arguments, "-m", "builtin", "-n", "12")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_each_line_is_a_prompt_and_a_quantization_shows(prompts: str, capfd: pytest.CaptureFixture[str]) -> None:
    found = diff(capfd, prompts, "--lines", "--a", "nf4", "--b", "none")
    assert [row["prompt"] for row in found["prompts"]] == [line for line in PROMPTS.splitlines() if line]
    assert 0 < found["mean_kl"] < 1
    assert found["mean_kl"] <= found["worst_prompt_kl"] <= found["worst_kl"]
    assert 0.5 < found["agreement"] <= 1
    assert found["positions"] == sum(row["positions"] for row in found["prompts"])


def test_a_setting_is_not_different_from_itself(prompts: str, capfd: pytest.CaptureFixture[str]) -> None:
    found = diff(capfd, prompts, "--lines", "--a", "nf4", "--b", "nf4")
    assert found["mean_kl"] == pytest.approx(0, abs=1e-12)
    assert (found["agreement"], found["same_answers"], found["median_first_difference"]) == (1, 3, None)


def test_a_text_is_cut_into_windows_and_compared_whole(prompts: str, capfd: pytest.CaptureFixture[str]) -> None:
    found = diff(capfd, prompts, "--a", "kv=int8", "--window", "10")
    assert found["prompts"][0]["prompt"] == "tokens 0 to 10"
    assert found["prompts"][0]["positions"] == 10 + found["prompts"][0]["answer_tokens"]
    assert found["mean_kl"] > 0


def test_the_table_says_the_worst_and_the_whole(prompts: str, capfd: pytest.CaptureFixture[str]) -> None:
    done = mistral(capfd, "quant-diff", prompts, "--lines", "--a", "nf4", "-m", "builtin", "-n", "4", "--limit", "2")
    assert "What is a KV cache?" in done.err
    assert "What is RoPE?" not in done.err
    assert "of 2 the same" in done.err
    assert "The first 2 of 3 prompts" in done.err


@pytest.mark.parametrize(
    ("side", "message"),
    [("nf5", "quantize is 'nf5'"), ("speed=9", "no setting of a side"), ("kernel=none", "no setting of a side")],
)
def test_a_side_that_cannot_be_is_refused(side: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_side("--a", side, load_settings())


def test_a_side_has_settings_of_its_own_and_the_others_in_common() -> None:
    side = read_side("--a", "int8, kv=int8,threads=2", load_settings({"dtype": "float32", "kv": "none"}))
    settings = side.settings
    assert (settings.quantize, settings.kv, settings.threads, settings.dtype) == ("int8", "int8", 2, "float32")


def test_the_layers_that_computed_each_side_are_told(prompts: str, capfd: pytest.CaptureFixture[str]) -> None:
    found = diff(capfd, prompts, "--lines", "--a", "nf4", "--b", "none", "--limit", "1")
    assert found["a_layers"] == {"PackedLinear": 28}
    assert found["b_layers"] == {"Linear": 28}


def test_without_our_kernel_other_layers_compute_and_the_numbers_are_others(
    prompts: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A process of its own: the choice is made once in each, and a switch that did nothing must not pass for one."""
    asked = ["quant-diff", prompts, "--lines", "--limit", "1", "-n", "4", "-q", "-m", "builtin", "--a", "nf4"]
    ours = json.loads(mistral(capfd, *asked).out)
    program, switched = [sys.executable, "-m", "mistral_cli"], {**os.environ, library.FORCE: library.NONE}
    others = json.loads(subprocess.run([*program, *asked], env=switched, check=True, capture_output=True).stdout)
    assert "PackedLinear" in ours["a_layers"]
    assert "PackedLinear" not in others["a_layers"]
    assert ours["mean_kl"] != others["mean_kl"]


def test_nothing_to_compare_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").write_text("\n")
    done = mistral(capfd, "quant-diff", str(tmp_path / "empty"), "--lines", "--a", "nf4", "-m", "builtin")
    assert (done.code, done.out) == (2, "")
    assert "There is no prompt" in done.err
