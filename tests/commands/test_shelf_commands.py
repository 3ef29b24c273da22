"""``mistral roles`` and ``mistral templates``: what they list, show and say of files that are wrong."""

from __future__ import annotations

import json

import pytest
from command_line import mistral

from mistral_cli.settings.places import places


def _write(name: str, text: str) -> str:
    file = places().config / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return str(file)


def test_roles_are_listed_with_what_they_are_for(capfd: pytest.CaptureFixture[str]) -> None:
    _write("roles/my poet.toml", 'description = "Rhymes"')
    outcome = mistral(capfd, "roles")
    assert outcome.out.splitlines() == [
        "my poet   Rhymes",
        "reviewer  Reviews code: defects first, briefly (built in)",
    ]
    assert str(places().config / "roles") in outcome.err


def test_a_file_that_is_wrong_is_listed_and_warned_of(capfd: pytest.CaptureFixture[str]) -> None:
    file = _write("roles/poet.toml", "temperature = 'hot'")
    outcome = mistral(capfd, "roles", "list")
    assert outcome.code == 0
    assert outcome.out.startswith("poet")
    assert f"{file}:1: temperature is 'hot', but must be a number" in outcome.err


def test_a_role_is_shown_as_it_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    text = 'system = """\nRhyme.\n"""  # always\n'
    _write("roles/poet.toml", text)
    assert mistral(capfd, "roles", "show", "poet") == (0, text, "")


def test_a_role_that_is_wrong_is_shown_and_fails(capfd: pytest.CaptureFixture[str]) -> None:
    _write("roles/poet.toml", "top_p = 7\n")
    outcome = mistral(capfd, "roles", "show", "poet")
    assert (outcome.code, outcome.out) == (2, "top_p = 7\n")
    assert "poet.toml:1: top_p" in outcome.err


def test_a_role_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    file = _write("roles/poet.toml", 'description = "Rhymes"\nsystem = "S"\nstop = ["x"]')
    said = json.loads(mistral(capfd, "roles", "show", "poet", "--json").out)
    assert said == {
        "name": "poet",
        "file": file,
        "description": "Rhymes",
        "options": {"system": "S", "stop": ["x"]},
    }
    listed = json.loads(mistral(capfd, "roles", "--json").out)
    assert listed["folder"] == str(places().config / "roles")
    assert listed["roles"][0] == {"name": "poet", "description": "Rhymes", "file": file, "is_own": True}


def test_a_template_as_json_tells_its_fields_and_their_defaults(capfd: pytest.CaptureFixture[str]) -> None:
    _write("templates/mine.toml", 'prompt = "{{a}} {{b}} {{input}}"\n[fields]\nb = "B"')
    said = json.loads(mistral(capfd, "templates", "show", "mine", "--json").out)
    assert said["fields"] == {"a": None, "b": "B"}
    assert said["prompt"] == "{{a}} {{b}} {{input}}"


@pytest.mark.parametrize("kind", ["roles", "templates"])
def test_paths_are_told_and_nothing_is_made(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    folder = places().config / kind
    assert mistral(capfd, kind, "path") == (0, f"{folder}\n", "")
    assert not folder.exists()
    file = _write(f"{kind}/mine.toml", "")
    assert json.loads(mistral(capfd, kind, "path", "mine", "--json").out) == {"path": file}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["roles", "show"], "`mistral roles show` needs a name. There are: reviewer."),
        (["templates", "list", "x"], "`mistral templates list` takes no name"),
        (["roles", "show", "revewer"], "Did you mean reviewer?"),
        (["roles", "show", "../../x"], "cannot be the name of a role"),
        (["roles", "path", "CON"], "cannot be the name of a role"),
        (["roles", "burn"], "burn"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = mistral(capfd, *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
