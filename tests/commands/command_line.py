"""Calls ``mistral`` in this process and returns what a shell would see."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from mistral_cli.cli import guarded, run

if TYPE_CHECKING:
    import pytest


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def mistral(capfd: pytest.CaptureFixture[str], *arguments: str) -> Outcome:
    code = guarded(partial(run, list(arguments)))
    return Outcome(code, *capfd.readouterr())
