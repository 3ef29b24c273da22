"""Which model is loaded when, and how many threads it gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fakes import fake_console
from mistral_cli.commands.loading import open_backend
from mistral_cli.commands.threads import choose_threads, granted_cores
from mistral_cli.contract import Done, Message, SamplingParams
from mistral_cli.errors import ContextError, ModelNotFoundError
from mistral_cli.settings.load import load_settings
from mistral_cli.weights.hub import DEFAULT_MODEL
from tiny_models import write_tiny_model

CORES = len(os.sched_getaffinity(0))
COMMIT = "0" * 40


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _put_into_the_hub_cache(folder: Path, repo_id: str) -> None:
    repo = Path(os.environ["HF_HOME"]) / "hub" / f"models--{repo_id.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    (repo / "snapshots").mkdir()
    (repo / "snapshots" / COMMIT).symlink_to(folder)


def test_a_named_model_is_loaded_and_answers(tiny: Path) -> None:
    console = fake_console()
    backend = open_backend(load_settings({"model": str(tiny), "context": 100}), console)
    assert (backend.info.name, backend.info.context, backend.info.tokenizer) == (str(tiny), 100, "v3")
    *_, done = backend.stream("Hello", SamplingParams(max_tokens=2, seed=1))
    assert isinstance(done, Done)
    assert done.answer_tokens == 2
    assert console.err.file.text == ""


def test_without_a_name_the_default_is_loaded_where_it_is_on_the_disk(tiny: Path) -> None:
    _put_into_the_hub_cache(tiny, DEFAULT_MODEL)
    console = fake_console()
    backend = open_backend(load_settings(), console)
    assert backend.info.name == DEFAULT_MODEL
    assert console.err.file.text == ""


def test_without_a_name_and_without_the_default_the_built_in_guide_is_and_says_so() -> None:
    console = fake_console()
    backend = open_backend(load_settings(), console)
    assert backend.info.name == "builtin"
    said = console.err.file.text
    assert said.count("\n") == 1
    assert f"mistral pull {DEFAULT_MODEL}" in said


def test_the_built_in_guide_by_name_says_nothing() -> None:
    console = fake_console()
    assert open_backend(load_settings({"model": "builtin"}), console).info.name == "builtin"
    assert console.err.file.text == ""


def test_a_model_of_the_environment_is_not_replaced_by_the_built_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_CLI_MODEL", "someone/something")
    with pytest.raises(ModelNotFoundError, match=r"someone/something.*mistral pull someone/something"):
        open_backend(load_settings(), fake_console())


@pytest.mark.parametrize(("asked", "expected"), [(None, 1), (1, 1), (2, 2)])
def test_a_tiny_model_gets_one_thread_or_those_asked_for(tiny: Path, asked: int | None, expected: int) -> None:
    import torch

    open_backend(load_settings({"model": str(tiny), "threads": asked}), fake_console())
    assert torch.get_num_threads() == expected


@pytest.mark.parametrize(
    ("text", "count"),
    [("a " * 300, "304 tokens"), (" " * 1_200_000, "[0-9,]+ tokens or more"), ("é" * 300, "303 tokens")],
)
def test_a_prompt_that_cannot_fit_is_refused_before_the_weights_are_read(
    tiny: Path, tmp_path: Path, text: str, count: str
) -> None:
    (tmp_path / "config.json").write_bytes((tiny / "config.json").read_bytes())  # there are no weights here
    settings = load_settings({"model": str(tmp_path), "context": 200})
    with pytest.raises(ContextError, match=f"takes {count}, but the context holds 200,"):
        open_backend(settings, fake_console(), (Message(role="user", content=text),))


def test_a_long_prompt_that_fits_is_not_refused(tiny: Path) -> None:
    prompt = (Message(role="user", content="a " * 300),)
    backend = open_backend(load_settings({"model": str(tiny), "context": 400}), fake_console(), prompt)
    assert 300 <= backend.count(prompt) < 400


def test_a_large_model_gets_the_cores_that_are_granted() -> None:
    assert choose_threads(None, 7_000_000_000) == granted_cores()
    assert choose_threads(3, 7_000_000_000) == 3


def _group(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, CORES),
        ({"cpu.max": "max 100000"}, CORES),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "150000 100000"}, min(2, CORES)),
        ({"cpu.max": "99900000 100000"}, CORES),
        ({"cpu.max": "garbage"}, CORES),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, CORES),
        ({"cpu/cpu.cfs_quota_us": "5", "cpu/cpu.cfs_period_us": "0"}, CORES),
    ],
)
def test_threads_are_the_cores_that_the_control_group_grants(tmp_path: Path, files: dict, expected: int) -> None:
    assert granted_cores(_group(tmp_path, files)) == expected
