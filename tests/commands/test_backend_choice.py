"""Who computes a model, from the command line: by its architecture, or as was asked."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from command_line import mistral

import mistral_cli
from fakes import fake_console
from foreign_checkpoint import edit_json, write_foreign
from mistral_cli.commands.loading import open_backend
from mistral_cli.contract import Message
from mistral_cli.errors import ContextError, UsageError
from mistral_cli.settings.load import load_settings
from tiny_checkpoint import write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GREEDY = ("-t", "0", "-n", "6")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_foreign(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("mistral"))


@pytest.fixture(autouse=True)
def _same_threads_afterwards() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_another_architecture_is_computed_by_transformers_and_that_is_said(llama: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "mistral_cli", "gen", "--no-stdin", "Hi", "-m", llama, *GREEDY],
        capture_output=True,
        check=True,
    )
    said = run.stderr.decode().splitlines()
    assert said[0] == "LlamaForCausalLM is neither Mistral nor Mixtral: transformers runs it (backend hf)."
    assert len(said) == 2  # and that the chat format is the model's own; nothing of transformers'
    assert run.stdout.endswith(b"\n")


def test_a_mistral_is_ours_and_transformers_is_not_even_imported(ours: Path) -> None:
    arguments = ["gen", "--no-stdin", "Hi", "-m", str(ours), "-n", "1"]
    code = (
        "import sys\nfrom functools import partial\nfrom mistral_cli.cli import guarded, run\n"
        f"code = guarded(partial(run, {arguments!r}))\n"
        "print(code, 'transformers.modeling_utils' in sys.modules, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert run.stderr == b"0 False\n"


def test_a_mistral_can_be_given_to_transformers_and_says_the_same(
    capfd: pytest.CaptureFixture[str], ours: Path
) -> None:
    one = mistral(capfd, "gen", "--no-stdin", "Hi", "-m", str(ours), *GREEDY)
    other = mistral(capfd, "gen", "--no-stdin", "Hi", "-m", str(ours), *GREEDY, "--backend", "hf")
    assert one == other
    assert one.code == 0


def test_the_json_says_who_computed(capfd: pytest.CaptureFixture[str], ours: Path, llama: Path) -> None:
    for folder, backend in ((ours, "native"), (llama, "hf")):
        out = mistral(capfd, "gen", "--no-stdin", "Hi", "-m", str(folder), "--json", *GREEDY).out
        assert json.loads(out)["model"]["backend"] == backend


def test_our_own_engine_refuses_another_architecture_by_name(capfd: pytest.CaptureFixture[str], llama: Path) -> None:
    code, out, err = mistral(capfd, "gen", "--no-stdin", "Hi", "-m", str(llama), "--backend", "native")
    assert (code, out) == (4, "")
    assert "LlamaForCausalLM" in err
    assert "--backend hf" in err


def test_code_of_the_models_own_is_exit_code_4(capfd: pytest.CaptureFixture[str], llama: Path, tmp_path: Path) -> None:
    for file in llama.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    edit_json(tmp_path / "config.json", model_type="own", auto_map={"AutoModelForCausalLM": "own.Own"})
    code, out, err = mistral(capfd, "gen", "--no-stdin", "Hi", "-m", str(tmp_path))
    assert (code, out) == (4, "")
    assert "code of its own" in err


def test_the_environment_may_choose(llama: Path, ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_CLI_BACKEND", "hf")
    assert open_backend(load_settings({"model": str(ours)}), fake_console()).info.backend == "hf"
    with pytest.raises(UsageError, match="MISTRAL_CLI_BACKEND is 'llama'"):
        load_settings(environ={"MISTRAL_CLI_BACKEND": "llama"})


def test_lines_are_answered_one_after_the_other(
    capfd: pytest.CaptureFixture[str], llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"One?\nTwo?\n")))
    found = mistral(capfd, "gen", "--lines", "-q", "-m", str(llama), *GREEDY).out
    rows = [json.loads(line) for line in found.splitlines()]
    assert [row["line"] for row in rows] == [1, 2]
    for row, question in zip(rows, ("One?", "Two?"), strict=True):
        alone = mistral(capfd, "gen", "--no-stdin", question, "-m", str(llama), *GREEDY, "--json").out
        assert row["text"] == json.loads(alone)["text"]


def test_a_prompt_that_cannot_fit_is_refused_before_the_weights_are_read(llama: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((llama / name).read_bytes())
    prompt = (Message(role="user", content="x" * 600),)
    with pytest.raises(ContextError, match="context holds 512"):
        open_backend(load_settings({"model": str(tmp_path)}), fake_console(), prompt)


def test_an_8_bit_cache_is_refused_where_transformers_keeps_it(llama: Path) -> None:
    with pytest.raises(UsageError, match="--kv int8 cannot be used with --backend hf"):
        open_backend(load_settings({"model": str(llama), "kv": "int8"}), fake_console())


def test_python_loads_either(llama: Path, ours: Path) -> None:
    llm = mistral_cli.load(str(llama), context=200)
    assert (llm.info.backend, llm.info.context) == ("hf", 200)
    assert llm.generate(["a", "b"], temperature=0, max_tokens=3) == [
        llm.generate(text, temperature=0, max_tokens=3) for text in ("a", "b")
    ]
    assert type(llm.model).__name__ == "LlamaForCausalLM"
    assert mistral_cli.load(str(ours), backend="hf").info.backend == "hf"
    assert mistral_cli.load(str(ours)).info.backend == "native"


def test_the_tokens_of_another_architecture_are_shown(capfd: pytest.CaptureFixture[str], llama: Path) -> None:
    code, out, err = mistral(capfd, "tokens", "Hi", "--no-stdin", "-m", str(llama))
    assert code == 0
    assert "<|im_start|>" in out
    assert "the model's own template" in err
