"""``/model`` in ``mistral chat``: what is looked at beforehand, what is freed, what comes back."""

from __future__ import annotations

import gc
import signal
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from fakes import FakeBackend, fake_console, fake_stdin
from mistral_cli.commands.another_model import AnotherModel
from mistral_cli.commands.chat import run_chat
from mistral_cli.commands.ending import ENDING
from mistral_cli.commands.loading import open_backend
from mistral_cli.engine import plan, reclaim
from mistral_cli.errors import CheckpointError, ModelNotFoundError, OutOfMemoryError, UsageError
from mistral_cli.settings.load import load_settings
from mistral_cli.text.tokenizer_files import carried_file
from tiny_models import write_tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.contract import Backend
    from mistral_cli.settings.options import Settings


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def others(**flags: object) -> AnotherModel:
    return AnotherModel(settings=load_settings(flags), console=fake_console(), open=lambda *_: FakeBackend())


def test_a_sound_model_passes_and_nothing_is_loaded(tiny: Path) -> None:
    assert not others(model="builtin").check(str(tiny))


def test_the_model_that_answers_is_known_by_its_short_name_too() -> None:
    nemo = "mistralai/Mistral-Nemo-Instruct-2407"
    assert others(model=nemo).check("nemo")
    with pytest.raises(ModelNotFoundError):
        others(model=nemo, revision="v1").check("nemo")
    assert others().check("builtin")


def test_a_model_that_is_not_here_is_told_at_once() -> None:
    with pytest.raises(ModelNotFoundError, match="mistralai/Mistral-Nemo-Instruct-2407 is not on this disk"):
        others().check("nemo")


def test_a_damaged_model_is_told_at_once(tiny: Path, tmp_path: Path) -> None:
    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CheckpointError):
        others().check(str(tmp_path))


def test_a_base_model_is_told_at_once(tiny: Path, tmp_path: Path) -> None:
    for file in tiny.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "tokenizer.model").write_bytes(carried_file("v3").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": "<s>"}')
    with pytest.raises(UsageError, match="is a base model without a chat template"):
        others().check(str(tmp_path))


def test_a_model_that_will_not_fit_even_then_is_told_at_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "host_free", lambda: 1000)
    monkeypatch.setattr(reclaim, "_anonymous", lambda _status: 1000)
    with pytest.raises(OutOfMemoryError, match="but 2,000 are free"):
        others().check(str(tiny))
    monkeypatch.setattr(reclaim, "_anonymous", lambda _status: 10**9)
    others().check(str(tiny))


def test_a_model_is_loaded_with_the_flags_of_the_first_but_not_with_its_revision() -> None:
    seen: list[Settings] = []

    def load(settings: Settings, _console: object) -> Backend:
        seen.append(settings)
        return FakeBackend()

    settings = load_settings({"model": "one", "revision": "v1", "context": 99})
    models = AnotherModel(settings=settings, console=fake_console(), open=load)
    models.load("two")
    models.reload()
    assert [(s.model, s.revision, s.context) for s in seen] == [("two", None, 99), ("two", None, 99)]


def test_a_model_that_failed_is_not_the_one_that_is_loaded_again() -> None:
    seen: list[str | None] = []

    def load(settings: Settings, _console: object) -> Backend:
        seen.append(settings.model)
        if settings.model == "two":
            raise CheckpointError("Damaged.")
        return FakeBackend()

    models = AnotherModel(settings=load_settings({"model": "one"}), console=fake_console(), open=load)
    with pytest.raises(CheckpointError):
        models.load("two")
    models.reload()
    assert seen == ["two", "one"]


def test_ctrl_c_in_the_loading_of_a_model_does_not_end_that_of_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ENDING, "number", signal.SIGINT)

    def load(_settings: Settings, _console: object) -> Backend:
        ENDING.check()
        return FakeBackend()

    models = AnotherModel(settings=load_settings(), console=fake_console(), open=load)
    assert models.reload().info.name == "fake"


def test_sigterm_ends_it_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ENDING, "number", signal.SIGTERM)
    models = AnotherModel(settings=load_settings(), console=fake_console(), open=lambda *_: ENDING.check())
    with pytest.raises(SystemExit):
        models.reload()


def test_a_chat_frees_the_weights_of_its_model_before_it_reads_those_of_another(tiny: Path, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"Hello\n/model {tiny}\nHello\n")
    weights: list[weakref.ref[Any]] = []
    were_held: list[bool] = []

    def load(settings: Settings, console: Any) -> Backend:
        gc.collect()
        were_held.extend(watched() is not None for watched in weights)
        backend: Any = open_backend(settings, console)
        weights.append(weakref.ref(backend.engine.model))
        return backend

    flags = {"script": str(script), "model": "builtin", "store": False, "max_tokens": 2, "context": 100}
    run_chat(load_settings(flags), fake_console(), stdin=fake_stdin(b""), load=load)
    assert len(weights) == 2
    assert were_held == [False]
