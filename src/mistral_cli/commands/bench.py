"""``mistral bench``: how fast a model reads and writes on this machine, how fast it starts, what memory it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from mistral_cli.commands import options as opt
from mistral_cli.commands.bench_run import Ask, run_bench, write_random
from mistral_cli.commands.flags import MODEL, switch, text_flag
from mistral_cli.commands.start import start
from mistral_cli.errors import UsageError

WHAT: Final = "What is measured"
BATCH: Final = 8
REPEAT: Final = 3


def bench(
    ctx: typer.Context,
    argument: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", parser=str, show_default=False, help="A folder, a hub id (OWNER/NAME), or builtin."
        ),
    ] = None,
    random: Annotated[
        str | None,
        text_flag(
            "--random",
            panel=MODEL,
            metavar="SHAPE",
            text="Random weights of a real shape, in memory, instead of MODEL: tiny, 7b, nemo-12b, mixtral-small …",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        text_flag(
            "--keep",
            panel=MODEL,
            metavar="FOLDER",
            text="With --random: write the model there (as many bytes as a real one), or take it if it is there.",
        ),
    ] = None,
    prompt_lengths: Annotated[
        str | None,
        text_flag("--prompt-lengths", panel=WHAT, metavar="N,N…", text="Prompts to read (default: 128,512)."),
    ] = None,
    depths: Annotated[
        str | None,
        text_flag(
            "--depths",
            panel=WHAT,
            metavar="N,N…",
            text="Tokens in the cache when decoding begins (default: 100,1000).",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Answers decoded side by side (default: 8; 1: none).", rich_help_panel=WHAT
        ),
    ] = None,
    repeat: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=1000, help="Times each is measured (default: 3).", rich_help_panel=WHAT),
    ] = None,
    starts: Annotated[
        bool | None,
        switch("--starts/--no-starts", panel=WHAT, text="Time the program's start, files cached and not."),
    ] = None,
    quick: Annotated[
        bool, switch("--quick", panel=WHAT, text="Measure less, and once: a prompt of 128, a depth of 100.")
    ] = False,
    model: opt.ModelOption = None,
    revision: opt.RevisionOption = None,
    chat_template: opt.ChatTemplateOption = None,
    dtype: opt.DtypeOption = None,
    quantize: opt.QuantizeOption = None,
    kv: opt.KvOption = None,
    device: opt.DeviceOption = None,
    context: opt.ContextOption = None,
    threads: opt.ThreadsOption = None,
    backend: opt.BackendOption = None,
    quiet: opt.QuietOption = None,
) -> None:
    """Measure how fast a model reads and writes here, how fast it starts, and what memory it takes.

    A table goes to stderr, one JSON object to stdout. Each time and speed is a median, with its range; memory is the
    most that was held, and the bandwidth that shares are of is the best of seven rounds.
    """
    flags = locals()
    if argument is not None and model is not None:
        raise UsageError("The model is given twice: as an argument and with --model.", "Drop one of them.")
    if random is not None and (argument is not None or model is not None):
        raise UsageError("A model is given, and --random too.", "Drop one of them.")
    if keep is not None and random is None:
        raise UsageError("--keep says where a random model is written, but --random is not given.", "Add --random 7b.")
    flags["model"] = argument if model is None else model
    ask = Ask(
        lengths=_numbers("--prompt-lengths", prompt_lengths, (128,) if quick else None),
        depths=_numbers("--depths", depths, (100,) if quick else None),
        batch=batch or (1 if quick else BATCH),
        repeat=repeat or (1 if quick else REPEAT),
        starts=not quick if starts is None else starts,
    )
    settings, console = start(ctx, flags)
    if random is not None and keep is not None:
        settings = write_random(random, Path(keep), settings, console)
    run_bench(ask, settings, console, shape=random if keep is None else None)


def _numbers(flag: str, text: str | None, default: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Read ``128,512``; an empty text is no number at all: nothing of that kind is measured.

    Raises:
        UsageError: something else is there.
    """
    if text is None:
        return default
    words = text.replace(",", " ").split()
    if not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise UsageError(f"{flag} is {text!a:.40}, but must be whole numbers above 0 with commas between.")
    return tuple(map(int, words))
