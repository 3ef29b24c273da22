"""Trainings by a stand-in, in this process: what the command does around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from fakes import FakeTrainer, fake_console
from mistral_cli.commands.training_data import DataFlags
from mistral_cli.commands.tune_prepare import Ask
from mistral_cli.commands.tune_report import Showing
from mistral_cli.commands.tune_run import run_tune
from mistral_cli.settings.options import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.ui.console import Console

CAPITALS = {"France": "Paris", "Spain": "Madrid", "Italy": "Rome", "Greece": "Athens", "Austria": "Vienna"}


def write_capitals(folder: Path, *more: str) -> Path:
    """Write a table of questions and answers, with some lines more."""
    rows = [f"What is the capital of {country}?,{city}." for country, city in CAPITALS.items()]
    path = folder / "capitals.csv"
    path.write_text("\n".join(["prompt,completion", *rows, *more, ""]))
    return path


@dataclass
class Tuning:
    """One run of the command on the built-in model."""

    folder: Path
    data: Path
    trainer: FakeTrainer = field(default_factory=FakeTrainer)
    console: Console = field(default_factory=lambda: fake_console(columns=100))

    def run(
        self,
        *,
        resume: bool = False,
        dry_run: bool = False,
        as_object: bool = False,
        recipe: Path | None = None,
        prompts: tuple[str, ...] = (),
        held_out: int = 0,
        model: str = "builtin",
        **given: object,
    ) -> int:
        ask = Ask(
            model=model,
            data=str(self.data),
            folder=self.folder,
            flags=DataFlags(),
            recipe=str(recipe) if recipe else None,
            given=given,
            resume=resume,
            revision=None,
        )
        showing = Showing(prompts=prompts, held_out=held_out, as_object=as_object)
        threads = torch.get_num_threads()
        try:
            return run_tune(ask, showing, Settings(), self.console, dry_run=dry_run, train=self.trainer)
        finally:
            torch.set_num_threads(threads)

    @property
    def out(self) -> str:
        return self.console.out.file.text

    @property
    def err(self) -> str:
        return self.console.err.file.text
