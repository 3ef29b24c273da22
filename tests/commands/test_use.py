"""``mistral use`` sets the model that answers where none is named, and chat, gen and Python obey."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command_line import mistral

from fakes import fake_console
from hub.cached_models import CONFIG, cache_model
from mistral_cli.commands.loading import open_backend
from mistral_cli.settings.load import load_settings
from mistral_cli.weights.hub import DEFAULT_MODEL
from tiny_models import write_tiny_model


def config() -> Path:
    return Path(os.environ["MISTRAL_CLI_HOME"]) / "config.toml"


def test_a_model_that_is_here_becomes_the_default_and_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    cache_model()
    code, out, err = mistral(capfd, "use", "owner/model")
    assert (code, out) == (0, "owner/model\n")
    assert str(config()) in err
    assert mistral(capfd, "use") == (0, "owner/model\n", f"Set by {config()}:1.\n")
    assert config().read_text() == 'model = "owner/model"\n'


def test_a_short_name_is_written_in_full(capfd: pytest.CaptureFixture[str]) -> None:
    cache_model(DEFAULT_MODEL)
    assert mistral(capfd, "use", "7b").out == f"{DEFAULT_MODEL}\n"
    assert load_settings().model == DEFAULT_MODEL


def test_a_folder_is_written_with_its_whole_path(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert mistral(capfd, "use", "./mine").out == f"{tmp_path / 'mine'}\n"
    assert load_settings().model == str(tmp_path / "mine")


def test_comments_of_the_config_stay(capfd: pytest.CaptureFixture[str]) -> None:
    config().parent.mkdir()
    config().write_text("# the model\nmodel = 'nemo' # large\n\n# the rest\nseed = 1\n")
    mistral(capfd, "use", "builtin")
    assert config().read_text() == '# the model\nmodel = "builtin" # large\n\n# the rest\nseed = 1\n'


def test_a_model_that_is_not_here_is_refused_with_how_to_fetch_it(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = mistral(capfd, "use", "nemo")
    assert (code, out) == (3, "")
    assert "mistral pull mistralai/Mistral-Nemo-Instruct-2407" in err
    assert not config().exists()


@pytest.mark.parametrize(("name", "code"), [("../../x", 2), ("-rf", 2), ("./nowhere", 3), ("owner/half", 3)])
def test_a_name_that_is_no_model_here_changes_nothing(capfd: pytest.CaptureFixture[str], name: str, code: int) -> None:
    cache_model("owner/half", {"config.json": CONFIG})
    assert mistral(capfd, "use", "--", name).code == code
    assert not config().exists()


def test_without_a_default_the_one_that_would_answer_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert mistral(capfd, "use") == (0, "builtin\n", "Nothing else is set: mistral use MODEL\n")
    cache_model(DEFAULT_MODEL)
    assert mistral(capfd, "use").out == f"{DEFAULT_MODEL}\n"


def test_a_default_that_is_gone_is_said(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_CLI_MODEL", "owner/model")
    code, out, err = mistral(capfd, "use")
    assert (code, out) == (0, "owner/model\n")
    assert "Set by MISTRAL_CLI_MODEL." in err
    assert "warning: It is not on this disk: mistral pull owner/model" in err


def test_a_variable_that_counts_more_is_said(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISTRAL_CLI_MODEL", "owner/other")
    assert "MISTRAL_CLI_MODEL is set, too, and counts more" in mistral(capfd, "use", "builtin").err


def test_the_objects_hold_name_and_places(capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = cache_model()
    shown = json.loads(mistral(capfd, "use", "owner/model", "--json").out)
    assert shown == {"model": "owner/model", "path": str(snapshot), "config": str(config())}
    shown = json.loads(mistral(capfd, "use", "--json").out)
    assert shown == {"model": "owner/model", "origin": f"{config()}:1", "is_here": True}


def test_the_default_answers_where_none_is_named(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiny = write_tiny_model(tmp_path / "tiny")
    assert mistral(capfd, "use", str(tiny)).code == 0
    assert open_backend(load_settings(), fake_console()).info.name == str(tiny)
    run = mistral(capfd, "gen", "--no-stdin", "-n", "2", "--json", "hello")
    assert json.loads(run.out)["model"]["name"] == str(tiny)
