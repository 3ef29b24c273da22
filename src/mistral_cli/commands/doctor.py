"""``mistral doctor``: what this installation consists of, what is wrong with it, how to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain, groupby
from typing import Annotated

import typer

from mistral_cli.commands.doctor_checks import (
    Check,
    check_files,
    check_libraries,
    check_machine,
    check_models,
    check_program,
)
from mistral_cli.commands.doctor_quantization import check_copies, check_quantization
from mistral_cli.commands.doctor_torch import check_kernels, check_torch
from mistral_cli.commands.start import start
from mistral_cli.errors import UsageError
from mistral_cli.ui.console import Console
from mistral_cli.ui.wrap import wrapped

CHECKS = (
    *(check_program, check_libraries, check_torch, check_kernels, check_quantization, check_copies),
    *(check_machine, check_files, check_models),
)
"""What is looked at, in the order of the report."""


def doctor(
    ctx: typer.Context,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Look at everything this program needs: say what it found, what is wrong, and how to mend it.

    Exit code 0 where nothing is broken, else 1. Asks no network.
    """
    console, settings_check = _open(ctx)
    checks = [*chain.from_iterable(look() for look in CHECKS), settings_check]
    wrong = [check for check in checks if check.problem]
    if as_object:
        rows = [{**asdict(check), "remedy": check.remedy if check.problem else ""} for check in checks]
        console.json({"ok": not wrong, "checks": rows})
    else:
        lines = chain(_report(checks), _summary(wrong))
        console.line("\n".join(lines if not console.out.is_terminal else _narrowed(lines, console.out.columns)))
    return 1 if wrong else 0


def _open(ctx: typer.Context) -> tuple[Console, Check]:
    """Open the console even where the settings are wrong: that is one of the things to be told."""
    try:
        settings, console = start(ctx)
    except UsageError as error:
        remedy = error.hint or "Mend or remove that setting."
        check = Check(section="settings", name="settings", value="wrong", problem=error.message, remedy=remedy)
        return Console.open(), check
    if settings.warnings:
        remedy = "Mend or remove that setting."
        problem = settings.warnings[0]
        return console, Check(section="settings", name="settings", value="doubtful", problem=problem, remedy=remedy)
    return console, Check(section="settings", name="settings", value="read without errors")


def _report(checks: list[Check]) -> Iterator[str]:
    width = max(len(check.name) for check in checks)
    for section, members in groupby(checks, key=lambda check: check.section):
        yield section
        for check in members:
            yield f"{'✗' if check.problem else ' '} {check.name:{width}}  {check.value}"


def _narrowed(lines: Iterable[str], columns: int) -> Iterator[str]:
    """Wrap lines at words, what follows below the values where there is room for that."""
    for line in lines:
        value = re.match(r"..\S+(?: \S+)*  +", line)
        yield wrapped(line, columns, " " * (value.end() if value and value.end() <= columns // 2 else 4))


def _summary(wrong: list[Check]) -> Iterator[str]:
    yield ""
    if not wrong:
        yield "Everything is in order."
        return
    yield "1 thing to mend:" if len(wrong) == 1 else f"{len(wrong)} things to mend:"
    for check in wrong:
        yield f"✗ {check.problem} {check.remedy}".rstrip()
