"""``mistral cache`` shows what is kept and frees it; the other commands keep it, say where it cannot be kept, go on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import mistral

from mistral_cli.backends.native import load_native
from mistral_cli.weights.hub import builtin_path
from mistral_cli.weights.quantized_cache import QuantizedCache
from tiny_models import write_tiny_model

LEFT = ("gen", "--no-stdin", "-t", "0", "-n", "4", "--model")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny-model")


def folder() -> Path:
    return Path(os.environ["MISTRAL_CLI_HOME"]) / "cache" / "quantized"


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """Quantize the built-in model, then the tiny one."""
    made = tmp_path_factory.mktemp("copies")
    for name, path in (("builtin", builtin_path()), (str(tiny), tiny)):
        load_native(path, name=name, device="cpu", quantize="nf4", cache=QuantizedCache(folder=made))
    return made


@pytest.fixture
def kept(copies: Path) -> str:
    """Keep a copy of both; return the name of the tiny one's."""
    shutil.copytree(copies, folder())
    (path,) = folder().glob("tiny-model-nf4-*")
    return path.stem


def test_an_answer_from_a_kept_copy_is_the_first_one(capfd: pytest.CaptureFixture[str]) -> None:
    asked = (*LEFT, "builtin", "--quantize", "nf4", "What is a KV cache?")
    first = mistral(capfd, *asked)
    assert first.code == 0
    assert len(list(folder().iterdir())) == 1
    assert mistral(capfd, *asked) == first
    folder().chmod(0o500)
    shutil.rmtree(folder())
    assert mistral(capfd, *asked) == first


def test_a_small_model_is_not_quantized_unasked(capfd: pytest.CaptureFixture[str], tiny: Path) -> None:
    code, out, _ = mistral(capfd, *LEFT, str(tiny), "--json", "hello")
    assert (code, json.loads(out)["model"]["quantization"]) == (0, "none")
    assert not folder().exists()


def test_an_empty_cache_has_nothing_to_list(capfd: pytest.CaptureFixture[str]) -> None:
    assert mistral(capfd, "cache") == (0, "", f"0 copies, 0 B in {folder()}.\n")


def test_the_list_names_each_copy_its_model_and_its_size(
    capfd: pytest.CaptureFixture[str], kept: str, tiny: Path
) -> None:
    code, out, err = mistral(capfd, "cache", "list")
    first, second = out.splitlines()
    assert code == 0
    assert first.split()[:2] == [kept, str(tiny)]  # used last
    assert " MB " in first
    assert second.startswith("builtin-nf4-cpu-")
    assert err.startswith("2 copies, ")


def test_the_list_as_an_object_holds_bytes_and_times(
    capfd: pytest.CaptureFixture[str], kept: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISTRAL_CLI_CACHE_LIMIT", "1GB")
    code, out, err = mistral(capfd, "cache", "list", "--json")
    shown = json.loads(out)
    first = shown["copies"][0]
    assert (code, err) == (0, "")
    assert (shown["limit"], shown["folder"]) == (10**9, str(folder()))
    assert shown["bytes"] == sum(copy["bytes"] for copy in shown["copies"])
    assert (first["name"], first["model"], first["scheme"], first["device"]) == (kept, str(tiny), "nf4", "cpu")
    assert first["bytes"] == (folder() / f"{kept}.safetensors").stat().st_size
    assert first["last_used"].startswith("20")
    assert first["problem"] is None


def test_a_damaged_copy_is_listed_as_that(capfd: pytest.CaptureFixture[str], kept: str) -> None:
    os.truncate(folder() / f"{kept}.safetensors", 1000)
    shown = json.loads(mistral(capfd, "cache", "list", "--json").out)["copies"]
    assert [row["model"] for row in shown if row["name"] == kept] == [None]
    assert next(row["problem"] for row in shown if row["name"] == kept).startswith("damaged: ")


@pytest.mark.parametrize("label", ["copy", "path", "name"])
def test_a_copy_is_removed_by_its_name_or_its_models(
    capfd: pytest.CaptureFixture[str], kept: str, tiny: Path, label: str
) -> None:
    named = {"copy": kept, "path": str(tiny), "name": tiny.name}[label]
    code, out, err = mistral(capfd, "cache", "remove", named)
    assert (code, out) == (0, f"{kept}\n")
    assert err.endswith(" MB freed.\n")
    assert [path.name.split("-")[0] for path in folder().iterdir()] == ["builtin"]


def test_clear_removes_all_and_says_how_much(capfd: pytest.CaptureFixture[str], kept: str) -> None:
    total = sum(path.stat().st_size for path in folder().iterdir())
    code, out, _ = mistral(capfd, "cache", "clear", "--json")
    assert (code, json.loads(out)["bytes"], len(json.loads(out)["removed"])) == (0, total, 2)
    assert list(folder().iterdir()) == []
    assert mistral(capfd, "cache", "clear").err == "There was nothing to remove.\n"


def test_an_unknown_name_is_3_with_the_nearest_and_nothing_is_removed(
    capfd: pytest.CaptureFixture[str], kept: str
) -> None:
    code, out, err = mistral(capfd, "cache", "remove", "builtin", "tiny-modle")
    assert (code, out) == (3, "")
    assert err == "error: There is no quantized copy called 'tiny-modle'. Did you mean tiny-model?\n"
    assert len(list(folder().iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["remove"], "needs the name"), (["list", "builtin"], "takes no names"), (["clear", "x"], "takes no names")],
)
def test_names_go_with_remove_alone(capfd: pytest.CaptureFixture[str], arguments: list[str], reason: str) -> None:
    code, _, err = mistral(capfd, "cache", *arguments)
    assert code == 2
    assert reason in err


def test_above_the_limit_the_oldest_goes_with_a_notice(
    capfd: pytest.CaptureFixture[str], kept: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (folder() / f"{kept}.safetensors").stat().st_size
    monkeypatch.setenv("MISTRAL_CLI_CACHE_LIMIT", str(int(2.5 * size)))
    os.utime(folder() / f"{kept}.safetensors", (10, 10))
    err = mistral(capfd, *LEFT, str(tiny), "--quantize", "int4", "hello").err
    assert f"Removed the quantized copy {kept}, used least recently: cache_limit is reached." in err
    assert [path.name.split("-")[2] for path in folder().iterdir()] == ["int4"]


def test_a_cache_that_cannot_be_written_is_one_warning(
    capfd: pytest.CaptureFixture[str], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder().parent.mkdir(parents=True)
    folder().write_text("in the way")
    code, out, err = mistral(capfd, *LEFT, str(tiny), "--quantize", "nf4", "hello")
    assert code == 0
    assert out
    assert err.count("warning: ") == err.count("\n") == 1
    assert "They are made anew at every start." in err


def test_python_keeps_copies_too(tiny: Path) -> None:
    import mistral_cli

    texts = {mistral_cli.load(str(tiny), quantize="nf4").generate("hello", temperature=0, max_tokens=4) for _ in "ab"}
    assert len(texts) == 1
    assert len(list(folder().iterdir())) == 1


INTERRUPTED = """
import os, signal, sys
from functools import partial
from mistral_cli.cli import guarded, prepare_process, run
from mistral_cli.ui import progress

def halfway(self, done, total):
    if done > total / 2:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))

progress.ByteBar.update = halfway
prepare_process()
sys.exit(guarded(partial(run, sys.argv[2:])))
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_while_quantizing_leaves_nothing_behind(tiny: Path, name: str, code: int) -> None:
    asked = (*LEFT, str(tiny), "--quantize", "nf4", "hello")
    run = subprocess.run([sys.executable, "-c", INTERRUPTED, name, *asked], check=False, capture_output=True)
    assert (run.returncode, run.stdout, run.stderr) == (code, b"", b"")
    assert list(folder().iterdir()) == []


def test_the_cache_is_looked_at_without_torch(tiny: Path, capfd: pytest.CaptureFixture[str], kept: str) -> None:
    for action in (["list"], ["remove", "builtin"], ["clear"]):
        program = [sys.executable, "-X", "importtime", "-m", "mistral_cli", "cache", *action]
        run = subprocess.run(program, capture_output=True, text=True, check=True)
        assert " torch\n" not in run.stderr
        assert " numpy\n" not in run.stderr
