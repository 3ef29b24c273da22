"""``gen --template``: what of it, of fields, arguments, files and stdin the model is sent, and how it is drawn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from gen_runs import ask

from fakes import FakeBackend
from mistral_cli.commands.template import template_fields
from mistral_cli.contract import Message
from mistral_cli.errors import UsageError
from mistral_cli.settings.places import places
from mistral_cli.settings.templates import TEMPLATES, read_template

if TYPE_CHECKING:
    from pathlib import Path


def _write(text: str, name: str = "mine") -> Path:
    file = places().config / "templates" / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


FRENCH = {"template": "translate", "set": ["from=English", "to=French"]}


def test_translate_is_the_raw_completion_that_adapters_are_tuned_on() -> None:
    run = ask(**FRENCH, stdin=b"Good morning.\n", backend=FakeBackend(answers=[" Bonjour. \n"]))
    assert run.backend.prompts == ["Translate: English → French\nEnglish: Good morning.\nFrench:"]
    assert run.backend.params[0].stop == ("\n",)
    assert run.backend.params[0].temperature == 0
    assert run.out == "Bonjour.\n"


def test_each_line_is_put_into_the_template_by_itself() -> None:
    backend = FakeBackend(answers=[" un", " deux"])
    run = ask(**FRENCH, lines=True, batch=1, stdin=b"one\n\ntwo {{from}}\n", backend=backend)
    form = "Translate: English → French\nEnglish: {}\nFrench:"
    assert backend.prompts == [form.format("one"), form.format("two {{from}}")]
    assert [json.loads(line)["text"] for line in run.out.splitlines()] == ["un", "deux"]


def test_fields_prompt_and_stdin_stand_in_their_places_and_are_not_expanded_again() -> None:
    _write('prompt = "{{prompt}}|{{tone}}|{{stdin}}|{{{{tone}}"')
    run = ask(template="mine", set=["tone={{stdin}}=x"], prompt="{{tone}}", stdin=b"{{prompt}} {{{{\n")
    assert run.prompt == "{{tone}}|{{stdin}}=x|{{prompt}} {{{{|{{tone}}"


def test_input_takes_whatever_has_no_place_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("F\n")
    _write('prompt = "<{{input}}>"')
    assert ask(template="mine", prompt="P", file=[str(file)], stdin=b"S").prompt == "<P\n\nF\n\nS>"
    _write('prompt = "<{{input}}> {{prompt}}"')
    assert ask(template="mine", prompt="P", file=[str(file)], stdin=b"S").prompt == "<F\n\nS> P"


def test_a_template_may_be_a_file_anywhere(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text('prompt = "Hello {{who}}"')
    assert ask(template=str(file), set=["who=you"]).prompt == "Hello you"


def test_a_template_brings_a_system_prompt_and_a_prefix_with_places_and_parameters() -> None:
    _write('system = "Speak {{to}}."\nprefix = "{{to}}: "\nprompt = "{{input}}"\ntop_k = 3\n[fields]\nto = "Dutch"')
    run = ask(template="mine", prompt="P")
    assert run.backend.prompts[0] == (
        Message(role="system", content="Speak Dutch."),
        Message(role="user", content="P"),
        Message(role="assistant", content="Dutch: ", prefix=True),
    )
    assert run.backend.params[0].top_k == 3
    assert ask(template="mine", prompt="P", set=["to=Thai"], top_k="5").backend.params[0].top_k == 5


def test_flags_win_over_the_template_and_the_template_over_the_role() -> None:
    _write('system = "T"\nprompt = "{{input}}"\ntemperature = 0.6')
    run = ask(template="mine", role="reviewer", prompt="P")
    assert run.backend.prompts[0][0].content == "T"
    assert run.backend.params[0].temperature == 0.6
    run = ask(template="mine", role="reviewer", prompt="P", system="F", temperature="0.9")
    assert run.backend.prompts[0][0].content == "F"
    assert run.backend.params[0].temperature == 0.9


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"set": ["from=English"]}, r"translate needs --set to=….*fields are: from, to\."),
        ({}, r"needs --set from=… --set to=…"),
        ({"set": ["from=a", "to=b", "too=c"]}, r"no field 'too'. Did you mean to\? Its fields are: from, to\."),
        ({"set": ["from=a", "to=b", "stdin=c"]}, r"--set cannot give {{stdin}}"),
        ({"set": ["from=a", "from=b"]}, r"--set is .*FIELD=TEXT, each field once"),
        ({"set": ["from"]}, r"--set is 'from', but must be FIELD=TEXT"),
        ({"set": ["from=a", "to=b"]}, r"translate needs a prompt, files or stdin, and there is none"),
        (
            {"set": ["from=a", "to=b"], "prompt": "P", "role": "reviewer"},
            r"--system '' leaves out that of .*reviewer.toml:\d",
        ),
    ],
)
def test_what_is_missing_unknown_or_said_twice_is_refused_before_anything_is_loaded(flags: dict, said: str) -> None:
    backend = FakeBackend()
    with pytest.raises(UsageError, match=said):
        ask(template="translate", backend=backend, **flags)
    assert backend.prompts == []


@pytest.mark.parametrize(
    ("prompt", "given", "said"),
    [
        ("{{prompt}}", {"stdin": b"S"}, r"no place for stdin.*takes prompt; {{input}}"),
        ("{{stdin}}", {"prompt": "P", "stdin": b"S"}, "no place for the prompt"),
        ("{{stdin}}", {}, r"mine needs stdin, and there is none"),
        ("{{stdin}}", {"stdin": b"\n"}, r"mine needs stdin"),
        ("{{prompt}}", {}, r"mine needs a prompt"),
        ("haiku", {"prompt": "P"}, r"no place for the prompt.*takes nothing"),
        (
            "{{prompt}}",
            {"prompt": "P", "lines": True, "stdin": b"S"},
            r"--lines needs a template with {{stdin}} or {{input}}",
        ),
    ],
)
def test_what_was_given_is_neither_lost_nor_made_up(prompt: str, given: dict, said: str) -> None:
    _write(f'prompt = "{prompt}"')
    with pytest.raises(UsageError, match=said):
        ask(template="mine", **given)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("system = 'S'", r"mine\.toml holds no prompt"),
        ("prompt = 3", r"mine\.toml:1: prompt is 3, but must be text"),
        ("\nprompt = '{{a b}}'", r"mine\.toml:2: prompt has '{{a b}}', which is no place"),
        ("prompt = 'x'\nsystem = '{{stdin}}'", r"mine\.toml:2: system has {{stdin}}, which only the prompt can"),
        ("prompt = 'x'\n[fields]\na = '1'", r"mine\.toml:3: a is no field of the prompt"),
        ("prompt = '{{a}}'\n[fields]\na = 1", r"mine\.toml:3: a is 1, but must be text"),
        ("prompt = 'x'\nfields = 1", r"mine\.toml:2: fields is 1, but must be a table"),
        ("prompt = 'x'\nraw = 'maybe'", r"mine\.toml:2: raw is 'maybe', but must be true or false"),
        ("prompt = 'x", r"mine\.toml:1: not TOML"),
    ],
)
def test_a_template_that_is_none_is_refused_with_file_and_line(text: str, said: str) -> None:
    _write(text)
    with pytest.raises(UsageError, match=said):
        ask(template="mine", prompt="P")


def test_an_unknown_key_is_warned_of() -> None:
    _write("prompt = 'x'\ntemprature = 1")
    run = ask(template="mine")
    assert "mine.toml:2: temprature is not an option" in run.err
    assert run.prompt == "x"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("CON", "cannot be the name of a template"),
        ("-rf", "cannot be the name of a template"),
        ("x" * 300, "cannot be the name of a template"),
        ("../../x", "There is no file '../../x'"),
        ("translat", r"Did you mean translate\?"),
        ("v3-tekken", r"A chat format: --chat-template"),
    ],
)
def test_a_name_that_leads_to_no_template(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "one" / "two"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    with pytest.raises(UsageError, match=said) as caught:
        ask(template=name, prompt="P")
    assert caught.value.exit_code == 2


def test_fields_need_a_template_and_none_is_no_template() -> None:
    with pytest.raises(UsageError, match="--set needs --template"):
        ask(prompt="P", set=["a=b"])
    _config = places().config / "config.toml"
    _write("prompt = '<{{input}}>'")
    _config.write_text("template = 'mine'")
    assert ask(prompt="P").prompt == "<P>"
    assert ask(prompt="P", template="none").prompt == "P"


@pytest.mark.parametrize("name", TEMPLATES.names())
def test_the_templates_that_come_with_the_program_are_sound(name: str) -> None:
    found = read_template(name)
    assert found.sheet.warnings == ()
    assert found.sheet.description
    given = [f"{field}=x" for field in template_fields(found) if field not in found.defaults]
    assert "INPUT" in ask(template=name, set=given, prompt="INPUT").prompt
