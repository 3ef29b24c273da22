"""``mistral doctor`` says what it found, what is wrong, and how to mend it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from command_line import mistral

from mistral_cli.commands.doctor_processor import processor_features, processor_name
from mistral_cli.commands.doctor_torch import check_cuda
from mistral_cli.weights.hub import DEFAULT_MODEL
from mistral_cli.weights.hub_cache import repo_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMIT = "c" * 40


def rows_of(capfd: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """Run ``doctor --json`` and return its checks by name; the exit code must say whether one has a problem."""
    code, out, err = mistral(capfd, "doctor", "--json")
    report = json.loads(out)
    assert err == ""
    assert code == (0 if report["ok"] else 1)
    assert report["ok"] == (not any(row["problem"] for row in report["checks"]))
    assert all(row["remedy"] for row in report["checks"] if row["problem"])
    return {row["name"]: row for row in report["checks"]}


def doctor_apart(*paths: Path, **env: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run ``doctor --json`` in a process that looks for modules in ``paths`` first."""
    command = [sys.executable, "-m", "mistral_cli", "doctor", "--json"]
    env = {**os.environ, **env, "PYTHONPATH": os.pathsep.join(str(path) for path in paths)}
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return run.returncode, {row["name"]: row for row in json.loads(run.stdout)["checks"]}


def pretend_installed(folder: Path, name: str, version: str, *requires: str) -> None:
    """Write what tells Python that a package is installed."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {text}" for text in requires)]) + "\n")


def put_in_cache(repo_id: str, *names: str) -> Path:
    snapshot = repo_folder(repo_id) / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for name in names:
        (snapshot / name).write_text("{}")
    (repo_folder(repo_id) / "refs").mkdir()
    (repo_folder(repo_id) / "refs" / "main").write_text(COMMIT)
    return snapshot


def test_this_installation_is_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(capfd)
    assert {name for name, row in rows.items() if row["problem"]} == set()
    assert rows["python"]["value"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert {"torch", "transformers", "bitsandbytes", "mistral-common", "huggingface-hub"} <= set(rows)
    assert mistral(capfd, "doctor").out.endswith("\nEverything is in order.\n")


def test_the_report_for_a_person_ends_with_what_to_mend(capfd: pytest.CaptureFixture[str]) -> None:
    (put_in_cache("owner/broken") / "config.json").symlink_to("../../blobs/gone")
    code, out, _ = mistral(capfd, "doctor")
    assert code == 1
    assert out.splitlines()[-1].startswith("✗ ")
    assert out.endswith("which is not there. mistral pull owner/broken\n")
    assert "\x1b" not in out


def test_the_kernels_of_the_quantizations_are_told(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mistral_cli.kernels import library

    assert rows_of(capfd)["4-bit products"]["value"].startswith(f"{library.load().variants[0]} (--quantize")
    monkeypatch.setattr(library, "_load", lambda: "it was not built")
    row = rows_of(capfd)["4-bit products"]
    assert row["value"] == "none: it was not built; faster with it: install again where there is a C++ compiler"
    assert row["problem"] == ""


def test_it_says_who_computes_each_quantization_and_why_not_a_better_one(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mistral_cli.kernels import library

    rows = rows_of(capfd)
    assert rows["nf4 on cpu"]["value"] == rows["int4 on cpu"]["value"] == "computed by our own kernel"
    assert rows["int8 on cpu"]["value"] == "computed by torch"
    assert rows["unasked"]["value"] == "nf4 for models of 3 billion parameters or more, else none"
    monkeypatch.setattr(library, "_load", lambda: "it was not built")
    assert (
        rows_of(capfd)["nf4 on cpu"]["value"]
        == "computed by bitsandbytes; our CPU kernel is not used: it was not built"
    )


def test_quantized_copies_are_counted_and_useless_ones_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert rows_of(capfd)["copies on disk"]["value"] == "0, 0 B"
    folder = Path(os.environ["MISTRAL_CLI_HOME"]) / "cache" / "quantized"
    folder.mkdir(parents=True)
    (folder / "some-nf4-cpu-0123.safetensors").write_bytes(bytes(2000))
    row = rows_of(capfd)["copies on disk"]
    assert row["value"] == "1, 2.00 kB; 1 of no use any more: mistral cache list"
    assert row["problem"] == ""


def test_torch_s_kernels_and_devices_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    import torch

    rows = rows_of(capfd)
    assert torch.backends.cpu.get_cpu_capability() in rows["cpu"]["value"]
    assert "bfloat16" in rows["cpu"]["value"]
    assert rows["cuda"]["value"].startswith("cuda:0" if torch.cuda.is_available() else "none: ")


def test_no_network_is_asked(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert rows_of(capfd)


def test_a_torch_that_cannot_be_imported_is_one_thing_to_mend(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libtorch_cpu.so: cannot open\\nshared object')")
    code, rows = doctor_apart(tmp_path)
    broken = next(row for row in rows.values() if row["value"] == "broken")
    assert code == 1
    assert "libtorch_cpu.so: cannot open shared object" in broken["problem"]
    assert "pip install" in broken["remedy"]


def test_a_library_that_is_too_old_is_named_with_its_floor(tmp_path: Path) -> None:
    pretend_installed(tmp_path, "bitsandbytes", "0.9.1")
    code, rows = doctor_apart(tmp_path)
    assert code == 1
    assert rows["bitsandbytes"]["problem"].startswith("bitsandbytes 0.9.1 is older than 0.50")
    assert rows["bitsandbytes"]["remedy"] == "pip install --upgrade 'bitsandbytes>=0.50'"


def test_a_library_and_an_extra_that_are_missing_are_told_apart(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    requires = ("never-written>=2.5", "torch", "nor-this-one>=1; extra == 'more'", "ruff>=99; extra == 'dev'")
    pretend_installed(tmp_path, "mistral_cli", "9.9", *requires)
    monkeypatch.syspath_prepend(tmp_path)
    rows = rows_of(capfd)
    assert rows["never-written"]["problem"] == "never-written is missing."
    assert rows["extra more"]["value"] == "not installed: pip install 'mistral-cli[more]'"
    assert rows["extra more"]["problem"] == ""
    assert "ruff" not in rows
    assert "extra dev" not in rows


def test_a_config_file_that_is_wrong_is_told_with_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    home = Path(os.environ["MISTRAL_CLI_HOME"])
    home.mkdir()
    (home / "config.toml").write_text("# mine\ntop_p = 7\n")
    assert f"{home / 'config.toml'}:2" in rows_of(capfd)["settings"]["problem"]


def test_a_folder_that_cannot_be_written_is_told(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MISTRAL_CLI_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    rows = rows_of(capfd)
    assert str(tmp_path / "file") in rows["config"]["problem"]
    assert "HF_HOME" in rows["hub cache"]["remedy"]


def test_the_default_model_is_here_or_how_to_fetch_it_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    assert f"mistral pull {DEFAULT_MODEL}" in rows_of(capfd)["default"]["value"]
    put_in_cache(DEFAULT_MODEL, "config.json", "model.safetensors")
    assert rows_of(capfd)["default"]["value"] == f"{DEFAULT_MODEL}, here"


def test_the_model_that_was_set_is_the_default(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MISTRAL_CLI_MODEL", "nemo")
    nemo = "mistralai/Mistral-Nemo-Instruct-2407"
    assert rows_of(capfd)["default"]["value"] == f"{nemo}, not here: mistral pull {nemo}"
    monkeypatch.setenv("MISTRAL_CLI_MODEL", str(tmp_path))
    assert rows_of(capfd)["default"]["value"] == f"{tmp_path}, here"


def test_fetched_models_are_looked_at_for_broken_links_and_missing_files(capfd: pytest.CaptureFixture[str]) -> None:
    put_in_cache("owner/fine", "model.safetensors")
    put_in_cache("owner/partial", "model-00001-of-00002.safetensors")
    broken = put_in_cache("owner/broken", "config.json")
    (broken / "model.safetensors").symlink_to("../../blobs/gone")
    repo_folder("owner/begun").mkdir()
    rows = rows_of(capfd)
    assert rows["owner/fine"]["value"] == "here"
    assert "model-00002-of-00002.safetensors" in rows["owner/partial"]["value"]
    assert "not finished: mistral pull owner/begun" in rows["owner/begun"]["value"]
    assert str(broken / "model.safetensors") in rows["owner/broken"]["problem"]
    assert rows["owner/broken"]["remedy"] == "mistral pull owner/broken"


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ({"HF_HUB_OFFLINE": "", "HF_TOKEN": "hf_secret"}, "HF_TOKEN is set"),
        ({"HF_HUB_OFFLINE": "", "HF_TOKEN_PATH": __file__}, "a token is stored"),
        ({"HF_HUB_OFFLINE": ""}, "none (only gated models need one)"),
    ],
)
def test_whether_somebody_is_logged_in_at_the_hub_is_told_without_the_token(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, env: Mapping[str, str], told: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    row = rows_of(capfd)["hub login"]
    assert told in row["value"]
    assert "hf_secret" not in json.dumps(row)


def test_the_processor_is_read_from_what_linux_lists(tmp_path: Path) -> None:
    x86 = tmp_path / "x86"
    x86.write_text("processor\t: 0\nmodel name\t: A Chip 9000\nflags\t\t: fpu avx2 avx512f avx512_vnni\n")
    arm = tmp_path / "arm"
    arm.write_text("processor\t: 0\nFeatures\t: fp asimd asimddp bf16\n")
    assert processor_name(x86) == "A Chip 9000"
    assert processor_features(x86) == ("avx2", "avx512f", "avx512_vnni")
    assert processor_features(arm) == ("asimd", "asimddp", "bf16")
    assert processor_features(tmp_path / "nothing") == ()


def fake_torch(*gpus: str, cuda: str | None) -> SimpleNamespace:
    """Stand for a torch of another machine, with these GPUs, built for that CUDA."""
    devices = [SimpleNamespace(name=name, total_memory=24_000_000_000) for name in gpus]
    return SimpleNamespace(
        version=SimpleNamespace(cuda=cuda, hip=None),
        cuda=SimpleNamespace(
            is_available=lambda: bool(gpus), device_count=lambda: len(gpus), get_device_properties=devices.__getitem__
        ),
    )


def test_each_gpu_is_named_with_its_memory() -> None:
    check = check_cuda(fake_torch("A GPU", "Another", cuda="13.0"))
    assert check.value.startswith("cuda:0 A GPU (24 GB), cuda:1 Another (24 GB)")


@pytest.mark.parametrize(("variable", "why"), [("", "CUDA_VISIBLE_DEVICES is ''"), (None, "no driver")])
def test_why_no_gpu_is_seen_is_told(monkeypatch: pytest.MonkeyPatch, variable: str | None, why: str) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if variable is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    check = check_cuda(fake_torch(cuda="13.0"))
    assert why in check.value
    assert not check.problem


def test_a_gpu_that_this_torch_is_not_built_for_is_a_thing_to_mend(tmp_path: Path) -> None:
    (tmp_path / "nvidiactl").touch()
    assert "built for the CPU alone" in check_cuda(fake_torch(cuda=None), tmp_path / "nvidiactl").problem
    assert not check_cuda(fake_torch(cuda=None), tmp_path / "nothing").problem


def test_a_setting_that_is_ignored_is_no_good_order(capfd: pytest.CaptureFixture[str]) -> None:
    home = Path(os.environ["MISTRAL_CLI_HOME"])
    home.mkdir(parents=True)
    (home / "config.toml").write_text("temperatur = 0.2\n")
    code, out, _ = mistral(capfd, "doctor")
    assert code == 1
    assert "Did you mean temperature?" in out
    assert "Everything is in order" not in out
