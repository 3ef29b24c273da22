"""``mistral config`` tells every option and who set it, and changes ``config.toml`` as a careful person would."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command_line import mistral

from mistral_cli.settings.load import load_settings
from mistral_cli.settings.options import OPTIONS
from mistral_cli.settings.shown import range_of, value_text


@pytest.fixture
def path() -> Path:
    return Path(os.environ["MISTRAL_CLI_HOME"]) / "config.toml"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def rows(out: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in out.splitlines()}


def test_the_list_has_every_option_with_value_origin_and_range(
    capfd: pytest.CaptureFixture[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, "# mine\ntemperature = 0.25\n")
    monkeypatch.setenv("MISTRAL_CLI_TOP_P", "0.5")
    code, out, _ = mistral(capfd, "config", "list", "--color", "never")
    shown = rows(out)
    assert code == 0
    assert list(shown) == list(OPTIONS)
    assert shown["temperature"] == ["0.25", "config.toml:2", "a", "number,", "0", "to", "100"]
    assert shown["top_p"][:2] == ["0.5", "MISTRAL_CLI_TOP_P"]
    assert shown["color"][:2] == ["never", "--color"]
    assert shown["kv"] == ["none", "default", "none", "or", "int8"]


def test_the_list_as_an_object_holds_the_values_themselves(capfd: pytest.CaptureFixture[str], path: Path) -> None:
    write(path, 'stop = ["a"]\nlogit_bias = { 5 = -1.5 }\n')
    shown = json.loads(mistral(capfd, "config", "list", "--json", "stop", "logit-bias", "store").out)
    assert shown["path"] == str(path)
    assert [(row["name"], row["value"], row["origin"]) for row in shown["options"]] == [
        ("stop", ["a"], f"{path}:1"),
        ("logit_bias", {"5": -1.5}, f"{path}:2"),
        ("store", True, "default"),
    ]


@pytest.mark.parametrize("name", list(OPTIONS))
def test_every_option_tells_what_it_may_be(name: str) -> None:
    assert range_of(name) not in ("", "anything")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("temperature", "0.20", "0.2"),
        ("top_p", ".5", "0.5"),
        ("store", "no", "false"),
        ("model", 'a "b" # c', 'a "b" # c'),
        ("model", "7", "7"),
        ("cache_limit", "40GB", "40000000000"),
        ("presence_penalty", "-0.5", "-0.5"),
        ("logit_bias", "5=-1.5,6=2", "5=-1.5,6=2.0"),
        ("system", "two\nlines", "two\nlines"),
        ("context", "4096", "4096"),
        ("quantize", "nf4", "nf4"),
    ],
)
def test_what_is_set_is_got_again_and_holds_for_every_command(
    capfd: pytest.CaptureFixture[str], path: Path, name: str, value: str, shown: str
) -> None:
    code, out, err = mistral(capfd, "config", "set", name, value)
    assert (code, out, err) == (0, "", f"{name} is set in {path}.\n")
    assert mistral(capfd, "config", "get", name) == (0, f"{shown}\n", "")
    assert value_text(getattr(load_settings(), name)) == shown


def test_several_values_are_a_list(capfd: pytest.CaptureFixture[str], path: Path) -> None:
    assert mistral(capfd, "config", "set", "stop", "END", "a, b").code == 0
    assert mistral(capfd, "config", "get", "stop").out == '["END", "a, b"]\n'
    assert mistral(capfd, "config", "set", "stop", '["x"]').code == 0
    assert path.read_text() == 'stop = ["x"]\n'


def test_numbers_and_amounts_stand_in_the_file_as_they_were_typed(
    capfd: pytest.CaptureFixture[str], path: Path
) -> None:
    for name, value in (("temperature", "0.20"), ("cache-limit", "40GB"), ("top-k", "1_000"), ("threads", "2")):
        assert mistral(capfd, "config", "set", name, value).code == 0
    assert path.read_text() == 'temperature = 0.20\ncache_limit = "40GB"\ntop_k = 1_000\nthreads = 2\n'


def test_comments_and_order_stay(capfd: pytest.CaptureFixture[str], path: Path) -> None:
    write(path, "# what I like\ntop_p = 0.9  # tried 0.8\n\n# the model\nmodel = 'builtin'\n")
    mistral(capfd, "config", "set", "top_p", "0.5")
    mistral(capfd, "config", "set", "seed", "1")
    mistral(capfd, "config", "unset", "model")
    assert path.read_text() == "# what I like\ntop_p = 0.5  # tried 0.8\n\n# the model\nseed = 1\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("temperature", "101"), "temperature is 101.0, but must be 0 to 100"),
        (("temperature", "nan"), "but must be 0 to 100"),
        (("temperature", "hot"), "temperature is 'hot', but must be a number, 0 to 100"),
        (("temperature", "1\ntop_p = 2"), "but must be a number"),
        (("temperature", "1", "2"), "but must be a number"),
        (("quantize", "nf3"), "none, nf4, int8 or int4"),
        (("temprature", "1"), "There is no option 'temprature'. Did you mean temperature?"),
        (("model", "a\udcff"), "model is not valid UTF-8"),
        (("model",), "needs the name of an option and its value"),
    ],
)
def test_a_wrong_value_is_refused_with_what_it_must_be(
    capfd: pytest.CaptureFixture[str], path: Path, words: tuple[str, ...], said: str
) -> None:
    write(path, "top_p = 0.9\n")
    code, out, err = mistral(capfd, "config", "set", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert path.read_text() == "top_p = 0.9\n"


def test_options_that_replace_each_other_are_not_both_written(capfd: pytest.CaptureFixture[str], path: Path) -> None:
    write(path, 'system_file = "a"\n')
    code, _, err = mistral(capfd, "config", "set", "system", "Be brief.")
    assert code == 2
    assert "are both given, but only one can be" in err
    assert path.read_text() == 'system_file = "a"\n'


def test_a_wrong_value_in_the_file_can_be_mended_while_other_commands_refuse_it(
    capfd: pytest.CaptureFixture[str], path: Path
) -> None:
    write(path, "temperature = -1\ntop_p = 7\n")
    assert mistral(capfd, "config", "list").code == 2
    code, _, err = mistral(capfd, "config", "set", "temperature", "1")
    assert code == 0
    assert f"warning: Something else is wrong there: {path}:2: top_p is 7.0" in err
    assert mistral(capfd, "config", "unset", "top_p").code == 0
    assert mistral(capfd, "config", "list").code == 0
    assert path.read_text() == "temperature = 1\n"


def test_a_file_that_is_no_toml_is_left_alone_and_its_line_said(capfd: pytest.CaptureFixture[str], path: Path) -> None:
    write(path, "top_p = 1\nmodel = \n")
    code, _, err = mistral(capfd, "config", "set", "top_p", "0.5")
    assert code == 2
    assert f"{path}:2: not TOML" in err
    assert path.read_text() == "top_p = 1\nmodel = \n"
    assert mistral(capfd, "config", "path").out == f"{path}\n"


def test_an_option_that_nobody_set_is_an_empty_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert mistral(capfd, "config", "get", "seed") == (0, "\n", "")
    assert json.loads(mistral(capfd, "config", "get", "seed", "--json").out)["value"] is None


def test_a_variable_that_counts_more_is_said(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISTRAL_CLI_SEED", "1")
    assert "MISTRAL_CLI_SEED is set, too, and counts more" in mistral(capfd, "config", "set", "seed", "2").err
    assert mistral(capfd, "config", "get", "seed").out == "1\n"


def test_a_change_as_an_object_tells_what_holds_now(capfd: pytest.CaptureFixture[str], path: Path) -> None:
    shown = json.loads(mistral(capfd, "config", "set", "seed", "2", "--json").out)
    assert (shown["path"], shown["name"], shown["value"], shown["origin"]) == (str(path), "seed", 2, f"{path}:1")
    assert json.loads(mistral(capfd, "config", "unset", "seed", "--json").out)["origin"] == "default"
    assert json.loads(mistral(capfd, "config", "path", "--json").out) == {"path": str(path), "exists": True}


def test_the_file_is_for_the_user_alone_and_a_link_to_it_stays(
    capfd: pytest.CaptureFixture[str], path: Path, tmp_path: Path
) -> None:
    path.parent.mkdir()
    (tmp_path / "dotfile").write_bytes("\ufefftop_p = 1\n".encode())
    path.symlink_to(tmp_path / "dotfile")
    assert mistral(capfd, "config", "set", "seed", "1").code == 0
    assert path.is_symlink()
    assert (tmp_path / "dotfile").read_bytes() == "\ufefftop_p = 1\nseed = 1\n".encode()
    assert stat.S_IMODE((tmp_path / "dotfile").stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["dotfile"]


def test_what_cannot_be_written_changes_nothing(capfd: pytest.CaptureFixture[str], path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to("/proc/nowhere/config.toml")
    assert mistral(capfd, "config", "set", "seed", "1").code == 1


def test_changes_at_the_same_moment_are_all_kept(path: Path) -> None:
    from mistral_cli.settings.config_file import set_option

    names = ["temperature", "top_p", "top_k", "min_p", "seed", "context", "threads", "batch"]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda name: set_option(name, ["1"]), names)) == [""] * 8
    assert sorted(path.read_text().splitlines()) == sorted(f"{name} = 1" for name in names)


def test_it_starts_without_large_libraries() -> None:
    program = (
        "import sys; sys.argv = ['mistral', 'config', 'get', 'color']\n"
        "from mistral_cli.cli import main\n"
        "try: main()\n"
        "finally: print({'torch', 'huggingface_hub', 'numpy', 'prompt_toolkit', 'mistral_common'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout == "auto\nset()\n"
