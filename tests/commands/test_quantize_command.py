"""``mistral quantize``: into the cache or into a folder; what is printed, what is refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from command_line import mistral
from transformers.tokenization_mistral_common import MistralCommonBackend

from mistral_cli.text.tokenizer import load_tokenizer
from tiny_checkpoint import tiny_args, write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

ASKED = ("--no-stdin", "--device", "cpu", "--temperature", "0", "-n", "8", "hello")


@pytest.fixture
def model(tmp_path: Path) -> str:
    args = replace(tiny_args(), dim=64, head_dim=16, hidden_dim=128)
    return str(write_checkpoint(tmp_path / "model", args=args))


@pytest.mark.parametrize("scheme", ["nf4", "int8", "int4"])
def test_what_is_made_ahead_of_time_is_what_a_start_finds(capfd, model: str, scheme: str) -> None:
    code, out, err = mistral(capfd, "quantize", model, "--to", scheme, "--device", "cpu", "--dtype", "bfloat16")
    assert code == 0
    assert f" in {scheme}, in " in err
    copies = json.loads(mistral(capfd, "cache", "list", "--json").out)["copies"]
    assert [copy["name"] for copy in copies] == [out.strip().rpartition("/")[2].removesuffix(".safetensors")]
    used = ("gen", "-m", model, "--quantize", scheme, "--dtype", "bfloat16", *ASKED)
    assert mistral(capfd, *used).code == 0
    assert len(json.loads(mistral(capfd, "cache", "list", "--json").out)["copies"]) == 1


def test_the_copy_that_is_told_is_the_one_that_was_made_however_new_another_is(capfd, model: str) -> None:
    other = mistral(capfd, "quantize", model, "--to", "nf4", "--device", "cpu").out.strip()
    os.utime(other, (2**33, 2**33))
    made = mistral(capfd, "quantize", model, "--to", "int8", "--device", "cpu").out.strip()
    assert "-int8-cpu-" in made


def test_a_folder_answers_as_the_model_quantized_at_its_start(capfd, model: str, tmp_path: Path) -> None:
    small = str(tmp_path / "small")
    code, out, err = mistral(capfd, "quantize", model, "-o", small, "--json")
    told = json.loads(out)
    assert (code, told["scheme"], told["path"]) == (0, "nf4", small)
    assert 0 < told["bytes"] < told["bytes_before"]
    assert " became " in err
    answer = json.loads(mistral(capfd, "gen", "-m", small, *ASKED, "--json").out)
    assert answer["model"]["quantization"] == "nf4"
    assert answer["text"]


def test_a_tokenizer_that_lies_elsewhere_comes_along(capfd, tmp_path: Path) -> None:
    small = tmp_path / "small"
    assert mistral(capfd, "quantize", "builtin", "-o", str(small), "-q").code == 0
    assert "mistral_cli_tokenizer" not in json.loads((small / "config.json").read_text())
    assert load_tokenizer(small).path == small / "tokenizer.model.v3"
    theirs = MistralCommonBackend.from_pretrained(small)
    assert theirs.encode("A text.", add_special_tokens=False) == load_tokenizer(small).encode("A text.", bos=False)


def test_int4_into_a_folder_is_a_misuse(capfd, model: str, tmp_path: Path) -> None:
    code, out, err = mistral(capfd, "quantize", model, "--to", "int4", "-o", str(tmp_path / "small"))
    assert (code, out) == (2, "")
    assert "bitsandbytes has no format for int4" in err


def test_force_without_a_folder_is_a_misuse(capfd, model: str) -> None:
    assert mistral(capfd, "quantize", model, "--force").code == 2


def test_a_copy_that_cannot_be_kept_is_a_failure_here(capfd, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_CLI_CACHE_LIMIT", "1kB")
    code, out, err = mistral(capfd, "quantize", model, "--device", "cpu")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
