"""Who wins where an option is set twice, and what a wrong value is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mistral_cli.errors import UsageError
from mistral_cli.limits import LIMITS
from mistral_cli.settings.load import load_settings
from mistral_cli.settings.options import OPTIONS, SAMPLING, Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"MISTRAL_CLI_HOME": str(tmp_path)}


def _write(home: dict[str, str], text: str | bytes) -> str:
    from pathlib import Path

    path = Path(home["MISTRAL_CLI_HOME"]) / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_nothing_set_gives_the_defaults(home: dict[str, str]) -> None:
    assert load_settings({}, home) == Settings()


def test_flags_beat_the_environment_which_beats_the_config_file(home: dict[str, str]) -> None:
    path = _write(home, "temperature = 0.1\ntop_p = 0.1\n\ntop_k = 1\n")
    settings = load_settings(
        {"temperature": 0.3}, home | {"MISTRAL_CLI_TEMPERATURE": "0.2", "MISTRAL_CLI_TOP_P": "0.2"}
    )
    assert (settings.temperature, settings.top_p, settings.top_k) == (0.3, 0.2, 1)
    assert settings.origins == {
        "temperature": "--temperature",
        "top_p": "MISTRAL_CLI_TOP_P",
        "top_k": f"{path}:4: top_k",
    }


@pytest.mark.parametrize("name", list(OPTIONS))
def test_every_option_can_stand_in_the_config_file_and_in_the_environment(name: str, home: dict[str, str]) -> None:
    written = {
        "adapter": '["a"]',
        "file": '["a"]',
        "model_folders": '["a"]',
        "stop": '["a"]',
        "logit_bias": "{ 5 = -1.5 }",
        "set": '{ to = "French" }',
        "dtype": '"float32"',
        "quantize": '"nf4"',
        "kv": '"int8"',
        "backend": '"hf"',
        "order": '"temperature-last"',
        "color": '"never"',
        "overflow": '"drop-oldest"',
        "keys": '"vi"',
    }
    kind = str(Settings.__dataclass_fields__[name].type)
    plain = "true" if kind.startswith("bool") else '"words"' if "str" in kind else "1"
    _write(home, f"{name} = {written.get(name, plain)}\n")
    in_file = load_settings({}, home)
    assert name in in_file.origins
    value = getattr(in_file, name)
    lists = dict.fromkeys(("adapter", "file", "stop", "model_folders"), "a")
    said = {"logit_bias": "5=-1.5", "set": "to=French", **lists}.get(name, str(value))
    in_environment = load_settings({}, {"MISTRAL_CLI_HOME": "/nowhere", f"MISTRAL_CLI_{name.upper()}": said})
    assert getattr(in_environment, name) == value


def test_every_sampling_parameter_of_the_contract_is_an_option() -> None:
    from mistral_cli.contract import SamplingParams

    assert set(SAMPLING) == set(SamplingParams.__dataclass_fields__)


@pytest.mark.parametrize("name", list(LIMITS))
def test_a_number_that_is_none_is_refused_with_the_file_and_the_line(name: str, home: dict[str, str]) -> None:
    path = _write(home, f'# mine\n\n{name} = "hot"\n')
    with pytest.raises(UsageError, match=rf"config.toml:3: {name} is 'hot', but must be a .*number, ") as caught:
        load_settings({}, home)
    assert caught.value.message.startswith(path)
    assert str(LIMITS[name]) in caught.value.message


def test_a_number_out_of_its_range_is_refused_with_the_file_and_the_line(home: dict[str, str]) -> None:
    _write(home, "temperature = -1\n")
    with pytest.raises(UsageError, match=r"config.toml:1: temperature is -1.0, but must be 0 to 100"):
        load_settings({}, home)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("temperature", True, "a number"),
        ("top_k", 2.5, "a whole number"),
        ("seed", "one", "a whole number"),
        ("raw", "maybe", "true or false"),
        ("quantize", "nf3", "none, nf4, int8 or int4"),
        ("model", 7, "text"),
        ("stop", [1], "a list of texts"),
        ("logit_bias", ["5"], "ID=BIAS"),
        ("logit_bias", 5, "ID=BIAS"),
        ("logit_bias", ["-1=5"], "ID=BIAS"),
        ("logit_bias", {"1": float("inf")}, "ID=BIAS"),
        ("stop", ["a", ""], "text of one character or more"),
        ("threads", 0, "a whole number, 1 or more"),
        ("threads", 10**6, "1 to 1,024"),
        ("temperature", 10**400, "a number"),
        ("top_k", 10**400, "a whole number"),
        ("context", 10**400, "a whole number, 1 or more"),
        ("cache_limit", "9" * 400, "a number of bytes"),
        ("cache_limit", "40 parsecs", "a number of bytes, such as 40GB"),
        ("cache_limit", "-1", "a number of bytes"),
        ("cache_limit", 1.5, "a number of bytes"),
        ("cache_limit", True, "a number of bytes"),
        ("dtype", "int3", "bfloat16, float16, float32 or float64"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_what_it_must_be(
    name: str, value: object, expected: str, home: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match=f"must be {expected}"):
        load_settings({name: value}, home)


def test_of_a_long_value_that_is_none_the_beginning_is_shown(home: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings({"seed": "9" * 4000}, home)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("value", "nbytes"),
    [
        (5000, 5000),
        ("0", 0),
        ("40GB", 40 * 10**9),
        ("40 gb", 40 * 10**9),
        ("1.5T", 1.5 * 10**12),
        ("2GiB", 2 * 2**30),
        ("7 kB", 7000),
        ("12 MiB", 12 * 2**20),
    ],
)
def test_a_number_of_bytes_may_have_a_unit(value: object, nbytes: int, home: dict[str, str]) -> None:
    assert load_settings({"cache_limit": value}, home).cache_limit == nbytes


def test_a_wrong_variable_is_named(home: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="MISTRAL_CLI_SEED is 'x', but must be a whole number, 0 to"):
        load_settings({}, home | {"MISTRAL_CLI_SEED": "x"})


def test_a_config_file_that_is_not_toml_is_refused_with_the_line(home: dict[str, str]) -> None:
    _write(home, "temperature = 0.1\nmodel = \n")
    with pytest.raises(UsageError, match=r"config.toml:2: not TOML"):
        load_settings({}, home)


def test_a_config_file_that_ends_in_the_middle_is_refused_with_its_last_line(home: dict[str, str]) -> None:
    _write(home, 'model = "a"\nstop = [')
    with pytest.raises(UsageError, match=r"config.toml:2: not TOML"):
        load_settings({}, home)


def test_a_config_file_that_is_not_utf8_is_refused(home: dict[str, str]) -> None:
    _write(home, b'model = "\xff"')
    with pytest.raises(UsageError, match=r"config\.toml cannot be read"):
        load_settings({}, home)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("seed = " + "9" * 5000, "Exceeds the limit"), ("stop = " + "[" * 100_000, "recursion|nested")],
)
def test_a_config_file_that_no_parser_takes_is_refused(text: str, reason: str, home: dict[str, str]) -> None:
    _write(home, text)
    with pytest.raises(UsageError, match=rf"config\.toml cannot be read: .*({reason})"):
        load_settings({}, home)


def test_a_folder_in_place_of_the_config_file_is_refused(home: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.mkdir()
    with pytest.raises(UsageError) as caught:
        load_settings({}, home)
    assert caught.value.message == f"{path} cannot be read: Is a directory."


def test_unknown_keys_and_variables_are_warned_of_with_the_nearest_name(home: dict[str, str]) -> None:
    path = _write(home, "\ntemprature = 1\n")
    settings = load_settings({}, home | {"MISTRAL_CLI_MODLE": "x"})
    assert settings.warnings == (
        f"{path}:2: temprature is not an option and is ignored. Did you mean temperature?",
        "MISTRAL_CLI_MODLE is not an option and is ignored. Did you mean MISTRAL_CLI_MODEL?",
    )


@pytest.mark.parametrize("name", ["MISTRAL_CLI_HOME", "MISTRAL_CLI_KERNEL"])
def test_variables_that_are_no_options_are_not_warned_of(home: dict[str, str], name: str) -> None:
    assert load_settings({}, {name: "portable"} | home).warnings == ()


def test_an_empty_variable_is_not_set(home: dict[str, str]) -> None:
    assert load_settings({}, home | {"MISTRAL_CLI_MODEL": ""}).model is None


def test_several_stop_strings_come_from_the_environment_as_json(home: dict[str, str]) -> None:
    assert load_settings({}, home | {"MISTRAL_CLI_STOP": '["a", "b"]'}).stop == ("a", "b")
    assert load_settings({}, home | {"MISTRAL_CLI_STOP": "[a"}).stop == ("[a",)


def test_a_system_prompt_and_its_file_together_are_refused(home: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="--system and --system-file are both given"):
        load_settings({"system": "a", "system_file": "b"}, home)


def test_a_system_flag_replaces_a_system_file_of_the_config(home: dict[str, str]) -> None:
    _write(home, 'system_file = "b"\n')
    settings = load_settings({"system": "a"}, home)
    assert (settings.system, settings.system_file) == ("a", None)
    assert "system_file" not in settings.origins


def test_text_that_is_not_utf8_gets_replacement_characters_and_one_warning(home: dict[str, str]) -> None:
    settings = load_settings({"prompt": "a\udcffb", "temperature": 0.5}, home)
    assert settings.prompt == "a\ufffdb"
    assert settings.warnings == ("--prompt is not valid UTF-8; what is not is read as U+FFFD.",)


def test_the_name_of_a_file_keeps_bytes_that_are_not_utf8(home: dict[str, str]) -> None:
    settings = load_settings({"file": ["a\udcff"]}, home)
    assert settings.file == ("a\udcff",)
    assert settings.warnings == ()
