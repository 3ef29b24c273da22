"""``gen --role``, and ``--trim``."""

from __future__ import annotations

import json

import pytest
from gen_runs import ask

from fakes import FakeBackend
from mistral_cli.errors import UsageError
from mistral_cli.settings.places import places


def _write(text: str, name: str = "poet") -> None:
    file = places().config / "roles" / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_role_gives_system_prompt_parameters_and_model() -> None:
    _write('system = "Rhyme."\ntemperature = 1.5\nstop = ["END"]\nmodel = "muse"')
    asked = []

    def load(settings, _console, _prompt) -> FakeBackend:
        asked.append(settings.model)
        return backend

    from fakes import fake_console, fake_stdin
    from mistral_cli.commands.gen import run_gen
    from mistral_cli.settings.load import load_settings

    backend = FakeBackend()
    run_gen(load_settings({"prompt": "P", "role": "poet"}), fake_console(), stdin=fake_stdin(), load=load)
    assert backend.prompts[0][0].content == "Rhyme."
    assert (backend.params[0].temperature, backend.params[0].stop, asked) == (1.5, ("END",), ["muse"])


def test_a_role_of_the_config_counts_until_a_flag_says_another_or_none() -> None:
    _write('system = "Rhyme."')
    (places().config / "config.toml").write_text('role = "poet"')
    assert ask(prompt="P").backend.prompts[0][0].content == "Rhyme."
    _write("temperature = 0.2", "clerk")
    assert ask(prompt="P", role="clerk").backend.params[0].temperature == 0.2
    assert len(ask(prompt="P", role="none").backend.prompts[0]) == 1


@pytest.mark.parametrize("line", ['role = "../../x"', 'role = ""', 'template = "v3"', 'template = "nothing"'])
def test_what_the_config_asks_for_and_is_not_there_is_told_with_file_and_line(line: str) -> None:
    places().config.mkdir(parents=True, exist_ok=True)
    (places().config / "config.toml").write_text(f"\n{line}\n")
    with pytest.raises(UsageError, match=rf"config\.toml:2: {line.split()[0]}"):
        ask(prompt="P")


def test_the_warnings_of_a_role_are_said() -> None:
    _write("sistem = 'x'")
    assert (
        "poet.toml:1: sistem is not an option and is ignored. Did you mean system?" in ask(role="poet", prompt="P").err
    )


@pytest.mark.parametrize("name", ["../../x", "CON", "-rf", "x" * 300, "", "nobody"])
def test_a_name_that_leads_to_no_role_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="role") as caught:
        ask(prompt="P", role=name)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ([" \n", " Bon", "jour ", "\n", "toi", " ", "\n\n"], "Bonjour \ntoi\n"),
        (["  ", "\n"], "\n"),
        (["x"], "x\n"),
    ],
)
def test_trim_leaves_out_the_blanks_around_the_answer_and_none_inside(pieces: list[str], shown: str) -> None:
    assert ask(prompt="P", trim=True, backend=FakeBackend(answers=[pieces])).out == shown
    answer = json.loads(ask(prompt="P", trim=True, json=True, backend=FakeBackend(answers=[pieces])).out)
    assert answer["text"] == shown.removesuffix("\n")


def test_a_piece_is_shown_as_soon_as_it_is_certain() -> None:
    backend = FakeBackend(answers=[[" Bon", "jour", " ", "!"]])
    shown = []
    from fakes import fake_console

    console = fake_console()
    backend.before_piece = lambda _number, _cancel: shown.append(console.out.file.text)
    ask(prompt="P", trim=True, backend=backend, console=console)
    assert shown == ["", "Bon", "Bonjour", "Bonjour"]
