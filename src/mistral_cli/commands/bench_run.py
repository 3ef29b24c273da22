"""What ``mistral bench`` does when its flags are read: the starts, the model, the measurements, the report."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mistral_cli.commands.bench_report import show_report
from mistral_cli.commands.doctor_processor import processor_name
from mistral_cli.commands.ending import ENDING
from mistral_cli.commands.loading import open_backend
from mistral_cli.commands.show_facts import USUAL_CONTEXT
from mistral_cli.commands.threads import choose_threads
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.measure.bench import Starts
    from mistral_cli.measure.speed import Plan
    from mistral_cli.measure.subjects import Subject

LENGTHS: Final = (128, 512)
DEPTHS: Final = (100, 1000)
PROMPT: Final = "The quick brown fox jumps over the lazy dog and runs away today"
"""What the program is started with: 16 tokens of Mistral's 7B, BOS among them."""
_HANDED_ON: Final = ("revision", "template", "dtype", "quantize", "kv", "device", "context", "threads", "backend")
"""Settings that a program started anew is given, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the flags of this command say."""

    lengths: tuple[int, ...] | None
    depths: tuple[int, ...] | None
    batch: int
    repeat: int
    starts: bool

    def plan(self, context: int) -> Plan:
        """Return what to measure; of what was not asked for, that which fits into ``context``."""
        from mistral_cli.measure.speed import Plan

        usual = Plan(prompt_lengths=(), depths=(), repeat=self.repeat)
        room = context - usual.tokens - 2
        lengths = tuple(length for length in LENGTHS if length <= room) if self.lengths is None else self.lengths
        depths = tuple(depth for depth in DEPTHS if depth <= room) if self.depths is None else self.depths
        return replace(usual, prompt_lengths=lengths, depths=depths)


def run_bench(ask: Ask, settings: Settings, console: Console, *, shape: str | None = None) -> None:
    """Measure the model of the settings, or a random one of ``shape`` in memory; show and print the report.

    Raises:
        MistralError: as loading does; a length or depth that does not fit.
    """
    from mistral_cli.measure.bench import measure_all

    starts: list[Starts] = []
    if shape is not None:
        subject = _random(shape, ask, settings, console)
    else:
        if ask.starts:
            starts = _measure_starts(ask, settings, console)
        subject = _loaded(ask, settings, console)
    plan = ask.plan(subject.engine.context)
    report = measure_all(subject, plan, batch=ask.batch, starts=starts, notify=console.status)
    ENDING.check()
    show_report(report, console)
    console.json({"model": subject.about, "machine": _machine(), **report.as_json()})


def _random(shape: str, ask: Ask, settings: Settings, console: Console) -> Subject:
    """Make a random model in memory, with the threads that a loaded one would have."""
    import torch

    from mistral_cli.measure.random_model import shape_named
    from mistral_cli.measure.subjects import random_subject

    args = shape_named(shape)
    torch.set_num_threads(choose_threads(settings.threads, args.parameters))
    return random_subject(
        f"random {shape}",
        args,
        dtype=settings.dtype or "bfloat16",
        device=settings.device,
        quantize=settings.quantize,
        kv=settings.kv,
        context=settings.context or ask.plan(args.max_position_embeddings).context,
        notify=console.status,
    )


def _loaded(ask: Ask, settings: Settings, console: Console) -> Subject:
    """Load the model of the settings, with room for what was asked for."""
    from mistral_cli.measure.subjects import subject_of

    needed = ask.plan(USUAL_CONTEXT).context
    if settings.context is None and needed > USUAL_CONTEXT:
        settings = replace(settings, context=needed)
    return subject_of(open_backend(settings, console))


def _measure_starts(ask: Ask, settings: Settings, console: Console) -> list[Starts]:
    """Start the program anew, before the model is loaded here: files that are mapped cannot be put out of the cache."""
    from mistral_cli.commands.pull import find_or_offer
    from mistral_cli.measure.bench import StartPlan, measure_starts
    from mistral_cli.weights.files import find_files
    from mistral_cli.weights.hub import default_model, full_name

    name = full_name(settings.model or default_model())
    path = find_or_offer(name, settings.revision, console)
    given = {option: value for option, value in settings.given(*_HANDED_ON).items() if value is not None}
    flags = [text for option, value in given.items() for text in (f"--{option}", str(value))]
    program = [sys.executable, "-m", "mistral_cli", "gen", "--json", "--raw", "--no-stdin", "--quiet"]
    command = [*program, "--temperature", "0", "--max-tokens", "1", "--model", name, *flags, "--prompt", PROMPT]
    plan = StartPlan(command=command, files=find_files(path).weights, repeat=ask.repeat)
    return measure_starts(plan, console.status)


def _machine() -> dict[str, object]:
    import torch

    return {"processor": processor_name(), "threads": torch.get_num_threads(), "torch": torch.__version__}


def write_random(shape: str, folder: Path, settings: Settings, console: Console) -> Settings:
    """Write a random model into ``folder`` unless one is there; return the settings that name it."""
    from mistral_cli.measure.random_model import RandomModel, shape_named, write_random_model

    args = shape_named(shape)
    if not (folder / "config.json").exists():
        console.status(f"Writing {2 * args.parameters / 1e9:.1f} GB of random weights to {folder} …")
        write_random_model(folder, RandomModel(args=args, tokenizer=True))
    return replace(settings, model=str(folder), origins={**settings.origins, "model": "--keep"})
