"""A chat that goes on is answered by the model that answered it so far."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fakes import FAKE_INFO, FakeBackend, fake_console, fake_stdin
from mistral_cli.commands.chat import run_chat
from mistral_cli.settings.load import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from mistral_cli.settings.options import Settings


def talk(folder: Path, who: str, identity: str, **flags) -> tuple[Settings, str]:
    """Talk once with a model and once more after ``--resume``; return what was to be loaded then, and stderr."""
    asked: list[Settings] = []
    script = folder / "script"
    script.write_text("hello\n")
    for number, options in enumerate(({"model": who}, {"resume": "last", **flags})):
        info = replace(FAKE_INFO, name=who if number == 0 else "other", path=identity)
        console = fake_console()

        def load(settings: Settings, _console: object, info=info) -> FakeBackend:
            asked.append(settings)
            return FakeBackend(info=info)

        run_chat(load_settings({"script": str(script), **options}), console, stdin=fake_stdin(b""), load=load)
    return asked[-1], console.err.file.text


def test_the_builtin_guide_goes_on(tmp_path: Path) -> None:
    settings, said = talk(tmp_path, "builtin", "/nowhere")
    assert settings.model == "builtin"
    assert "not on this disk" not in said


def test_a_folder_is_found_from_wherever_the_chat_goes_on(tmp_path: Path) -> None:
    settings, _ = talk(tmp_path, "models/mine", str(tmp_path))
    assert settings.model == str(tmp_path)


def test_a_cached_model_goes_on_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0" * 40
    repo = tmp_path / "models--owner--name"
    (repo / "snapshots" / commit).mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (repo / "snapshots" / commit / name).write_text("{}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    settings, _ = talk(tmp_path, "owner/name", "/nowhere", revision="x")
    assert (settings.model, settings.revision) == ("owner/name", None)


def test_a_model_that_a_flag_names_answers_and_that_is_said(tmp_path: Path) -> None:
    settings, said = talk(tmp_path, "builtin", "/nowhere", model="other")
    assert settings.model == "other"
    assert "builtin answered so far, other does from here on." in said


def test_a_model_that_is_gone_is_said_and_the_usual_one_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISTRAL_CLI_MODEL", "usual")
    settings, said = talk(tmp_path, "owner/gone", "/nowhere")
    assert settings.model == "usual"
    assert "owner/gone, which answered so far, is not on this disk any more." in said


def test_a_new_chat_is_answered_by_the_usual_model() -> None:
    asked: list[Settings] = []

    def load(settings: Settings, _console: object) -> FakeBackend:
        asked.append(settings)
        return FakeBackend()

    run_chat(load_settings({"script": "/dev/null"}), fake_console(), stdin=fake_stdin(b""), load=load)
    assert asked[0].model is None
