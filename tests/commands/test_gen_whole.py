"""`mistral gen` from its flags to a real checkpoint, in this process."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import pytest
from command_line import Outcome, mistral

from tiny_models import write_tiny_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ASKED = ["--temperature", "0", "--max-tokens", "3", "--threads", "1"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def gen(tiny: str, capfd, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    def run(*arguments: str, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return mistral(capfd, "gen", "--model", tiny, *ASKED, *arguments)

    return run


def test_the_same_question_gets_the_same_answer_and_json_says_how(gen) -> None:
    plain = gen("a question")
    assert (plain.code, plain.err) == (0, "")
    told = json.loads(gen("--json", "--logprobs", "2", stdin=b"a question\n").out)
    assert told["text"] + "\n" == plain.out
    assert told["tokens"]["answer"] == 3
    assert told["reason"] == "length"
    assert told["parameters"]["temperature"] == 0
    assert [len(row["top"]) for row in told["logprobs"]] == [2, 2, 2]
    assert told["logprobs"][0]["id"] == told["logprobs"][0]["top"][0]["id"]


def test_an_answer_that_fills_the_context_says_so(gen) -> None:
    code, _, err = gen("--raw", "--context", "8", "--max-tokens", "100", "a b c")
    assert code == 0
    assert err == "(the answer ends here: the context of 8 tokens is full)\n"


def test_a_million_spaces_are_refused_with_both_numbers(gen) -> None:
    code, out, err = gen(stdin=b" " * 1_200_000)
    assert (code, out) == (6, "")
    # "or more": they are counted from below, not encoded
    assert re.search(r"takes [0-9,]+ tokens or more, but the context \w+ 8,192", err)
    assert err.count("\n") == 1


def test_a_device_that_is_not_there_is_a_usage_error_with_the_reason(gen) -> None:
    code, out, err = gen("--device", "cuda:9", "x")
    assert (code, out) == (2, "")
    assert err.startswith("error: --device cuda:9")
    assert err.count("\n") == 1


def test_a_batch_with_a_line_that_failed_is_whole_and_exit_code_8(gen, tmp_path: Path) -> None:
    lines = tmp_path / "out.jsonl"
    code, out, err = gen("--lines", "-o", str(lines), stdin=b"one\n" + b"w " * 40_000 + b"\nthree\n")
    assert (code, out) == (8, "")
    assert "1 of 3 lines failed" in err
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert ["text" in row for row in rows] == [True, False, True]


def test_a_line_after_another_gets_the_answer_it_gets_alone(gen) -> None:
    together = [json.loads(line)["text"] for line in gen("--lines", stdin=b"one\ntwo\none\n").out.splitlines()]
    alone = [gen(question).out.removesuffix("\n") for question in ("one", "two", "one")]
    assert together == alone


def test_what_is_not_set_is_taken_from_the_next_that_sets_it(capfd, tmp_path: Path, monkeypatch) -> None:
    """Flags, environment, config, the model's generation_config.json, then temperature 0.7 and top_p 0.95."""
    model, home = write_tiny_model(tmp_path / "model"), tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("MISTRAL_CLI_HOME", str(home))

    def parameters(*flags: str) -> tuple[float, ...]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
        done = mistral(
            capfd, "gen", "-m", str(model), "-n", "1", "--seed", "1", "--threads", "1", "--json", *flags, "x"
        )
        assert (done.code, done.err) == (0, "")
        used = json.loads(done.out)["parameters"]
        return used["temperature"], used["top_p"], used["top_k"], used["min_p"]

    assert parameters() == (0.7, 0.95, 0, 0)
    (model / "generation_config.json").write_text('{"temperature": 0.1, "top_p": 0.1, "top_k": 1, "min_p": 0.1}')
    assert parameters() == (0.1, 0.1, 1, 0.1)
    (home / "config.toml").write_text("temperature = 0.2\ntop_p = 0.2\ntop_k = 2\n")
    assert parameters() == (0.2, 0.2, 2, 0.1)
    monkeypatch.setenv("MISTRAL_CLI_TEMPERATURE", "0.3")
    monkeypatch.setenv("MISTRAL_CLI_TOP_P", "0.3")
    assert parameters() == (0.3, 0.3, 2, 0.1)
    assert parameters("--temperature", "0.4") == (0.4, 0.3, 2, 0.1)


def test_the_guide_answers_from_weights_in_four_bits_and_says_so(capfd, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("gen", "--model", "builtin", "--no-stdin", "--temperature", "0", "--device", "cpu", "What is a KV cache?")
    code, out, err = mistral(capfd, *asked, "--quantize", "nf4", "--json", "--stats")
    told = json.loads(out)
    assert (code, told["model"]["quantization"]) == (0, "nf4")
    assert "keys and values" in told["text"]
    assert err.endswith(" · weights in nf4\n")
    monkeypatch.setenv("MISTRAL_CLI_QUANTIZE", "int4")
    assert json.loads(mistral(capfd, *asked, "--json").out)["model"]["quantization"] == "int4"
    assert json.loads(mistral(capfd, *asked, "--json", "--quantize", "none").out)["model"]["quantization"] == "none"


def test_the_guide_answers_from_a_cache_in_eight_bits_and_says_so(capfd) -> None:
    asked = ("gen", "--model", "builtin", "--no-stdin", "--temperature", "0", "--device", "cpu", "What is a KV cache?")
    code, out, err = mistral(capfd, *asked, "--kv", "int8", "--json", "--stats")
    told = json.loads(out)
    assert (code, told["model"]["kv"]) == (0, "int8")
    assert "keys and values" in told["text"]
    assert err.endswith(" · cache in int8\n")


def test_a_quantization_on_another_device_is_a_misuse(capfd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    asked = ("gen", "--model", "builtin", "--no-stdin", "--quantize", "nf4", "hello")
    for device in ("mps", "auto"):
        code, out, err = mistral(capfd, *asked, "--device", device)
        assert (code, out) == (2, "")
        assert err.endswith(" Add --device cpu, or leave --quantize out.\n")


@pytest.mark.parametrize("scheme", ["nf4", "int8", "int4"])
def test_without_our_kernels_the_guide_answers_all_the_same(
    capfd, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr("mistral_cli.kernels.library._load", lambda: "it was not built")
    asked = ("gen", "--model", "builtin", "--no-stdin", "--temperature", "0", "--device", "cpu", "What is a KV cache?")
    code, out, err = mistral(capfd, *asked, "--quantize", scheme)
    assert (code, err) == (0, "")
    assert "keys and values" in out
