"""``mistral tune``: an adapter is trained on somebody's own data, for ``--adapter`` and ``mistral merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mistral_cli.commands import data_options as data_opt
from mistral_cli.commands import options as opt
from mistral_cli.commands import tune_options as tune_opt
from mistral_cli.commands.start import start
from mistral_cli.commands.training_data import DataFlags
from mistral_cli.commands.tune_prepare import Ask
from mistral_cli.commands.tune_report import Showing
from mistral_cli.commands.tune_run import run_tune

_RECIPE = (
    "quantize",
    "adapter",
    "rank",
    "alpha",
    "dropout",
    "targets",
    "lr",
    "schedule",
    "warmup",
    "epochs",
    "steps",
    "batch",
    "accumulate",
    "length",
    "packing",
    "loss",
    "seed",
    "eval_split",
    "eval_every",
    "save_every",
    "checkpointing",
)
"""The flags that are fields of a recipe."""


def tune(
    ctx: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", parser=str, help="The base: a folder, a hub id, a short name or builtin.")
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="FILE|ID",
            parser=str,
            show_default=False,
            help="What is learnt: .jsonl, .json, .csv, .tsv or plain text; `-` is stdin; a hub data set (OWNER/NAME).",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            parser=str,
            show_default=False,
            help="The adapter's folder, new or empty (default: DATA-adapter, here).",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would take; load no weights.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training in DIR, from its last checkpoint.")
    ] = False,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="FILE",
            parser=str,
            help="A TOML file with any of the flags below, as beside each adapter: rank = 8. Flags are stronger.",
        ),
    ] = None,
    sample: Annotated[
        list[str] | None,
        typer.Option(
            "--sample",
            metavar="PROMPT",
            parser=str,
            help="Answered by base and adapter in the end, side by side; repeatable. By default rows kept apart.",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", min=0, max=100, help="How many rows kept apart are answered so.")
    ] = 3,
    revision: opt.RevisionOption = None,
    format: data_opt.FormatOption = None,  # noqa: A002 (the flag's name)
    map: data_opt.MapOption = None,  # noqa: A002 (the flag's name)
    source: data_opt.SourceOption = None,
    target: data_opt.TargetOption = None,
    subset: data_opt.SubsetOption = None,
    split: data_opt.SplitOption = None,
    strict: data_opt.StrictOption = False,
    yes: data_opt.YesOption = False,
    adapter: tune_opt.AdapterOption = None,
    rank: tune_opt.RankOption = None,
    alpha: tune_opt.AlphaOption = None,
    dropout: tune_opt.DropoutOption = None,
    targets: tune_opt.TargetsOption = None,
    lr: tune_opt.LrOption = None,
    schedule: tune_opt.ScheduleOption = None,
    warmup: tune_opt.WarmupOption = None,
    epochs: tune_opt.EpochsOption = None,
    steps: tune_opt.StepsOption = None,
    loss: tune_opt.LossOption = None,
    eval_split: tune_opt.EvalSplitOption = None,
    eval_every: tune_opt.EvalEveryOption = None,
    seed: tune_opt.SeedOption = None,
    save_every: tune_opt.SaveEveryOption = None,
    quantize: tune_opt.QuantizeOption = None,
    batch: tune_opt.BatchOption = None,
    accumulate: tune_opt.AccumulateOption = None,
    length: tune_opt.LengthOption = None,
    packing: tune_opt.PackingOption = None,
    checkpointing: tune_opt.CheckpointingOption = None,
    threads: opt.ThreadsOption = None,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: opt.QuietOption = None,
) -> int:
    """Train a LoRA adapter on your own data, and print its folder: for --adapter, /adapter and mistral merge.

    First a plan: what learns, the memory, the steps. In the folder, beside the adapter, stand recipe.toml (how it was
    trained) and metrics.jsonl (every step). Ctrl-C saves and stops; --resume goes on as if nothing had been. Rows that
    cannot be used are counted and told; see them all with `mistral data check FILE`.
    """
    given = locals()
    settings, console = start(ctx, {"revision": revision, "threads": threads, "quiet": quiet})
    flags = DataFlags(
        format=format, map=map, source=source, target=target, subset=subset, split=split, strict=strict, yes=yes
    )
    ask = Ask(
        model=model,
        data=data,
        folder=Path(output) if output is not None else _usual_folder(data),
        flags=flags,
        recipe=recipe,
        given={name: given[name] for name in _RECIPE},
        resume=resume,
        revision=settings.revision,
    )
    showing = Showing(prompts=tuple(sample or ()), held_out=0 if sample else samples, as_object=as_object)
    return run_tune(ask, showing, settings, console, dry_run=dry_run)


def _usual_folder(data: str) -> Path:
    """Return the folder beside which nobody named another: ``letters.csv`` becomes ``letters-adapter``, here."""
    return Path(f"{'stdin' if data == '-' else Path(data).stem}-adapter")
