"""What a role's file may say, and what it stands above and below."""

from __future__ import annotations

import pytest

from mistral_cli.errors import UsageError
from mistral_cli.settings.load import load_settings
from mistral_cli.settings.places import places
from mistral_cli.settings.roles import ROLES, read_role
from mistral_cli.settings.sheet import with_sheet


def _write(text: str, name: str = "roles/poet.toml") -> None:
    file = places().config / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_role_is_a_system_prompt_parameters_and_a_model() -> None:
    _write(
        'description = "Rhymes"\nsystem = "Rhyme."\nmodel = "m"\n'
        'temperature = 1.2\nstop = ["END"]\nlogit_bias = {7 = 1}'
    )
    role = read_role("poet")
    assert role.description == "Rhymes"
    assert role.values == {
        "system": "Rhyme.",
        "model": "m",
        "temperature": 1.2,
        "stop": ("END",),
        "logit_bias": {7: 1.0},
    }
    assert role.warnings == ()


def test_an_unknown_key_is_warned_of_with_file_line_and_the_nearest() -> None:
    _write('system = """\ntemprature = 1\n"""\ntemprature = 1\nquantize = "nf4"')
    first, second = read_role("poet").warnings
    assert first.endswith("roles/poet.toml:4: temprature is not an option and is ignored. Did you mean temperature?")
    assert "poet.toml:5: quantize is not" in second


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("system = 'S'\ntop_p = 2", r"poet\.toml:2: top_p is 2.0, but must be above 0"),
        ("\ntemperature = 'hot'", r"poet\.toml:2: temperature is 'hot', but must be a number"),
        ("system = 3", r"poet\.toml:1: system is 3, but must be text"),
        ("description = ['x']", r"poet\.toml:1: description is .* but must be text"),
    ],
)
def test_a_value_that_is_none_is_refused_with_file_and_line(text: str, line: str) -> None:
    _write(text)
    with pytest.raises(UsageError, match=line):
        read_role("poet")


def test_flags_win_over_the_role_and_the_role_over_the_environment_and_the_config(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _write("temperature = 0.1\ntop_p = 0.1\nmin_p = 0.1\ntop_k = 1\n", "config.toml")
    monkeypatch.setenv("MISTRAL_CLI_TOP_P", "0.2")
    _write("temperature = 0.3\ntop_p = 0.3\nmin_p = 0.3\n")
    settings = with_sheet(load_settings({"temperature": "0.4"}), read_role("poet"))
    assert (settings.temperature, settings.top_p, settings.min_p, settings.top_k) == (0.4, 0.3, 0.3, 1)
    assert settings.origins["min_p"].endswith("roles/poet.toml:3: min_p")


def test_the_roles_system_prompt_replaces_the_configs_file_of_one_but_not_a_flags() -> None:
    _write("system_file = 'config.txt'", "config.toml")
    _write("system = 'Rhyme.'")
    settings = with_sheet(load_settings(), read_role("poet"))
    assert (settings.system, settings.system_file) == ("Rhyme.", None)
    settings = with_sheet(load_settings({"system_file": "flag.txt"}), read_role("poet"))
    assert (settings.system, settings.system_file) == (None, "flag.txt")


@pytest.mark.parametrize("name", ROLES.names())
def test_the_roles_that_come_with_the_program_are_sound(name: str) -> None:
    role = read_role(name)
    assert role.warnings == ()
    assert role.description
    assert role.values["system"].strip()
