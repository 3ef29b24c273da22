"""What the completion scripts are written from: every flag and argument, and what may stand there."""

from __future__ import annotations

import re

import pytest

from mistral_cli.cli import build
from mistral_cli.commands.completion import names
from mistral_cli.commands.completion.words import CommandWords, Option, Values, program_words
from mistral_cli.commands.table import COMMANDS
from mistral_cli.settings.options import OPTIONS
from mistral_cli.text.versions import VERSIONS

PROGRAM = program_words(build(), COMMANDS)


def _command(name: str) -> CommandWords:
    (command,) = [command for command in PROGRAM.commands if command.name == name]
    return command


def _option(command: str, flag: str) -> Option:
    (option,) = [option for option in _command(command).options if flag in option.names]
    return option


def test_a_switch_a_choice_and_a_repeated_flag_are_told_apart() -> None:
    raw, order, file = _option("gen", "--raw"), _option("gen", "--order"), _option("gen", "-f")
    assert (raw.values, raw.opposites) == (None, ("--no-raw",))
    assert order.values == Values(
        label="temperature-first|temperature-last", words=("temperature-first", "temperature-last")
    )
    assert file == Option(
        names=("-f", "--file"),
        about="Add a file to the prompt",
        values=Values(label="FILE", source="files"),
        repeats=True,
    )


def test_flags_that_every_command_takes_have_their_choices_too() -> None:
    for command in PROGRAM.commands:
        assert _option(command.name, "--color").values == Values(
            label="auto|always|never", words=("auto", "always", "never")
        )
        assert _option(command.name, "--help").values is None


@pytest.mark.parametrize(
    ("command", "sources"),
    [
        ("history", ["", "chats"]),
        ("data", ["", "lessons"]),
        ("roles", ["", "roles"]),
        ("templates", ["", "templates"]),
        ("cache", ["", "copies"]),
        ("remove", ["models"]),
        ("use", ["models"]),
        ("pull", ["ids"]),
        ("quantize", ["models"]),
        ("perplexity", ["files"]),
    ],
)
def test_arguments_know_where_their_names_come_from(command: str, sources: list[str]) -> None:
    assert ["" if values.words else values.source for values in _command(command).arguments] == sources


def test_nothing_that_is_called_after_a_file_or_a_name_is_left_without_them() -> None:
    placed = [
        (command.name, values.label)
        for command in PROGRAM.commands
        for values in (*(option.values for option in command.options if option.values), *command.arguments)
        if re.search("FILE|FOLDER|DIR|PATH|MODEL|CHAT|ROLE|TEMPLATE|COPY", values.label)
        and values.source == "none"
        and not values.words
    ]
    assert placed == []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("config set backend", None),
        ("config set backend ", ["native", "hf"]),
        ("--color never config set --json watchdog t", ["true", "false"]),
        ("config set chat-template ", [*VERSIONS]),
        ("config set device ", ["auto", "cpu", "cuda", "mps"]),
        ("config set model ", ["builtin"]),
        ("config set top_p ", []),
        ("config set stop ", []),
        ("config set nothing ", []),
        ("config set backend hf ", []),
        ("config get backend ", None),
        ("config unset ", None),
    ],
)
def test_behind_set_and_an_option_its_values_are_offered(line: str, offered: list[str] | None, capfd) -> None:
    """None: all options."""
    names.main("settings", line.split(" "))
    got = [row.split("\t")[0] for row in capfd.readouterr().out.splitlines()]
    assert got == (list(OPTIONS) if offered is None else offered)
