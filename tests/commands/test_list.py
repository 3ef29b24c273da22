"""``mistral list`` shows what is on this disk, what is wrong with it, and which model answers by default."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import mistral

from fakes import fake_console
from hub.cached_models import CONFIG, OTHER_COMMIT, WEIGHTS, cache_model
from mistral_cli.commands.list import model_names
from mistral_cli.weights.hub import DEFAULT_MODEL
from mistral_cli.weights.hub_cache import cache_folder
from mistral_cli.weights.hub_names import ALIASES
from mistral_cli.weights.quantized_cache import QuantizedCache
from mistral_cli.weights.quantized_file import FileStamp, Identity

if TYPE_CHECKING:
    import pytest


def rows(capfd: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Return the lines of the table by their first word."""
    code, out, _ = mistral(capfd, "list")
    assert code == 0
    return {line.split()[0]: line.split()[1:] for line in out.splitlines()}


def configure(text: str) -> None:
    home = Path(os.environ["MISTRAL_CLI_HOME"])
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(text)


def keep_copy(snapshot: Path) -> None:
    """Put a quantized copy of a model of the hub's cache beside the others."""
    copies = QuantizedCache(folder=Path(os.environ["MISTRAL_CLI_HOME"]) / "cache" / "quantized")
    stamps = (FileStamp.of(snapshot / "model.safetensors"),)
    identity = Identity(files=stamps, scheme="nf4", layout="test", device="cpu", dtype="bfloat16")
    with copies.writing("owner/model", identity, tensors=1, nbytes=100):
        pass


def test_without_any_other_the_built_in_model_is_the_default(capfd: pytest.CaptureFixture[str]) -> None:
    assert rows(capfd).keys() == {"builtin"}
    assert rows(capfd)["builtin"][-1] == "default"


def test_a_model_is_listed_with_its_short_name_size_and_last_use(capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = cache_model(DEFAULT_MODEL)
    os.utime(snapshot / "model.safetensors", (1_700_000_000, 1))
    assert rows(capfd)[DEFAULT_MODEL] == ["7b", "5.03", "kB", "2023-11-14", "default"]
    assert mistral(capfd, "list").err == f"5.03 kB in {cache_folder()}.\n"


def test_the_one_used_last_stands_first_and_the_built_in_one_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(("owner/a", "owner/b", "owner/c")):
        os.utime(cache_model(name) / "model.safetensors", (1_700_000_000 + number, 1))
    assert list(rows(capfd)) == ["owner/c", "owner/b", "owner/a", "builtin"]


def test_quantized_copies_stand_beside_their_model(capfd: pytest.CaptureFixture[str]) -> None:
    keep_copy(cache_model())
    cache_model("owner/other")
    assert "nf4:" in rows(capfd)["owner/model"]
    assert "nf4:" not in rows(capfd)["owner/other"]
    model = next(m for m in json.loads(mistral(capfd, "list", "--json").out)["models"] if m["name"] == "owner/model")
    assert [copy["scheme"] for copy in model["quantized"]] == ["nf4"]


def test_the_default_of_the_config_is_marked_whatever_it_is_called_there(capfd: pytest.CaptureFixture[str]) -> None:
    cache_model("mistralai/Mistral-Nemo-Instruct-2407")
    cache_model(DEFAULT_MODEL)
    configure('model = "nemo"\n')
    assert rows(capfd)["mistralai/Mistral-Nemo-Instruct-2407"][-1] == "default"
    assert "default" not in rows(capfd)[DEFAULT_MODEL]


def test_a_default_that_is_not_here_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    configure('model = "owner/model"\n')
    assert "The default, owner/model, is not here: mistral pull owner/model" in mistral(capfd, "list").err


def test_what_is_damaged_or_not_whole_is_said_with_what_mends_it(capfd: pytest.CaptureFixture[str]) -> None:
    (cache_model("owner/broken") / "model.safetensors").resolve().unlink()
    cache_model("owner/half", {"config.json": CONFIG, "model-00001-of-00002.safetensors": WEIGHTS})
    shown = rows(capfd)
    assert " ".join(shown["owner/broken"]).endswith("is a link to nothing · mistral pull owner/broken")
    assert " ".join(shown["owner/half"]).endswith("00002-of-00002.safetensors · mistral pull owner/half")


def test_another_revision_says_which(capfd: pytest.CaptureFixture[str]) -> None:
    cache_model(revision="v0.1", commit=OTHER_COMMIT)
    assert rows(capfd)["owner/model"][-2:] == ["revision", "v0.1"]


def test_folders_of_the_config_and_a_default_that_is_a_folder_are_listed(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("many/one", "two"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "params.json").write_bytes(b"{}")
        (tmp_path / name / "consolidated.safetensors").write_bytes(WEIGHTS)
    configure(f'model_folders = ["{tmp_path}/many"]\nmodel = "{tmp_path}/two"\n')
    shown = rows(capfd)
    assert shown[str(tmp_path / "two")][-1] == "default"
    assert str(tmp_path / "many" / "one") in shown


def test_an_adapter_is_listed_as_one_and_is_no_model_to_name(capfd: pytest.CaptureFixture[str]) -> None:
    cache_model("owner/adapter", {"adapter_config.json": b"{}", "adapter_model.safetensors": WEIGHTS})
    assert rows(capfd)["owner/adapter"][-1] == "adapter"
    assert model_names() == ("builtin",)


def test_the_object_holds_what_the_table_shows(capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = cache_model()
    shown = json.loads(mistral(capfd, "list", "--json").out)
    assert (shown["cache"], shown["default"]) == (str(cache_folder()), "builtin")
    model, builtin = shown["models"]
    assert model.pop("last_used")
    assert model == {
        "name": "owner/model",
        "alias": None,
        "revision": None,
        "path": str(snapshot),
        "bytes": len(CONFIG) + len(WEIGHTS),
        "is_default": False,
        "is_adapter": False,
        "is_whole": True,
        "problem": None,
        "quantized": [],
    }
    assert builtin["is_default"]


def test_the_short_names_are_shown_with_those_that_are_here(capfd: pytest.CaptureFixture[str]) -> None:
    cache_model(DEFAULT_MODEL)
    out = mistral(capfd, "list", "--aliases").out
    assert [line.split()[:2] for line in out.splitlines()] == [[alias.name, alias.model] for alias in ALIASES]
    assert [line.split()[0] for line in out.splitlines() if line.endswith("  here")] == ["7b", "7b-v0.3"]
    shown = json.loads(mistral(capfd, "list", "--aliases", "--json").out)["aliases"]
    assert shown[0] == {"alias": "7b", "model": DEFAULT_MODEL, "is_here": True}


def test_names_to_complete_are_those_of_whole_models_and_none_where_the_config_is_broken() -> None:
    cache_model(DEFAULT_MODEL)
    assert model_names() == ("7b", DEFAULT_MODEL, "builtin")
    configure("model = \n")
    assert model_names() == ()


def test_a_narrow_terminal_gets_a_name_and_the_rest_below() -> None:
    from mistral_cli.commands import list as command
    from mistral_cli.settings.load import load_settings

    cache_model(DEFAULT_MODEL)
    console = fake_console(terminal=True, columns=40)
    command._show_models(load_settings(), console, as_object=False)
    shown = console.out.file.text.splitlines()
    assert shown[0] == DEFAULT_MODEL
    assert shown[1].startswith("    7b · 5.03 kB")
    assert max(map(len, shown)) < 40
