"""Values that need no converting are taken as they are; all others are converted by typer, and wrong ones refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated, Any, Literal

import pytest
import typer

from mistral_cli.commands.as_typed import is_value, take_as_typed


def _command(taken: list[dict[str, Any]]) -> Any:
    app = typer.Typer(add_completion=False)

    @app.command()
    def command(
        words: Annotated[list[str] | None, typer.Argument()] = None,
        kind: Annotated[Literal["a", "b"], typer.Option()] = "a",
        count: Annotated[int, typer.Option(min=1)] = 3,
        name: Annotated[str | None, typer.Option()] = None,
        is_on: Annotated[bool | None, typer.Option("--on/--off")] = None,
    ) -> None:
        taken.append({"words": words, "kind": kind, "count": count, "name": name, "is_on": is_on})

    return typer.main.get_command(app)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["one", "two", "--kind", "b", "--name", "x", "--on"],
        ["--count", "7", "--off"],
        ["--count", "7", "one"],
    ],
)
def test_a_command_gets_the_very_values_that_typer_would_give_it(args: list[str]) -> None:
    told: list[dict[str, Any]] = []
    plain, light = _command(told), _command(told)
    take_as_typed(*light.params)
    for command in (plain, light):
        command.main(args, standalone_mode=False)
    assert told[0] == told[1]


@pytest.mark.parametrize("args", [["--kind", "c"], ["--count", "0"], ["--count", "x"]])
def test_a_value_that_is_none_is_refused_as_typer_refuses_it(args: list[str]) -> None:
    said = []
    for command in (_command([]), _command([])):
        if said:
            take_as_typed(*command.params)
        with pytest.raises(typer.TyperException) as caught:
            command.main(args, standalone_mode=False)
        said.append(caught.value.format_message())
    assert said[0] == said[1]


def test_what_needs_converting_is_no_value() -> None:
    assert is_value("a", Literal["a", "b"])
    assert not is_value("c", Literal["a", "b"])
    assert not is_value("3", int)
    assert not is_value(True, int)


def test_a_short_command_does_without_pydantic() -> None:
    code = "import sys; from mistral_cli.__main__ import main\ntry: main()\nfinally: print('pydantic' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code, "history", "path"], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "False"
