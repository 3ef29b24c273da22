"""``mistral quantize``: a model's weights in fewer bits, ahead of time, into the cache or into a folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from mistral_cli.commands import options as opt
from mistral_cli.commands.cache import open_cache
from mistral_cli.commands.sizes import size
from mistral_cli.commands.start import start
from mistral_cli.errors import MistralError, UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console
from mistral_cli.ui.progress import ByteBar


def quantize(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", parser=str, help="A folder or a hub id.")],
    to: Annotated[Literal["nf4", "int8", "int4"], typer.Option("--to", help="What the weights become.")] = "nf4",
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="DIR", parser=str, help="Write a folder that transformers reads, too."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the model in DIR.")] = False,
    revision: opt.RevisionOption = None,
    dtype: opt.DtypeOption = None,
    device: opt.DeviceOption = None,
    threads: opt.ThreadsOption = None,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: opt.QuietOption = None,
) -> None:
    """Quantize a model's weights ahead of time, and print where they are.

    Without -o they go where the first start with --quantize would put them (`mistral cache list`). With -o they make a
    model folder in bitsandbytes' format: for `-m DIR` and for transformers, on any machine.
    """
    from mistral_cli.commands.pull import find_or_offer
    from mistral_cli.weights.hub import full_name

    flags = {"revision": revision, "dtype": dtype, "device": device, "threads": threads, "quiet": quiet}
    settings, console = start(ctx, flags)
    if force and output is None:
        raise UsageError("--force means nothing without -o.")
    model = full_name(model)
    folder = find_or_offer(model, settings.revision, console)
    _use_threads(settings)
    begun = time.monotonic()
    bar = ByteBar(console=console, label=f"Quantizing {model}")
    if output is None:
        path, after = _into_cache(folder, to, settings, console, bar)
    else:
        path, after = _into_folder(folder, Path(output), to, bar, force=force)
    console.clear_status()
    before, seconds = _bytes_of(folder), time.monotonic() - begun
    if as_object:
        facts = {"scheme": to, "path": str(path), "bytes_before": before, "bytes": after, "seconds": round(seconds, 2)}
        console.json(facts)
    else:
        console.line(str(path))
    console.notice(f"{size(before)} became {size(after)} in {to}, in {seconds:.0f} s.")


def _into_cache(folder: Path, scheme: str, settings: Settings, console: Console, bar: ByteBar) -> tuple[Path, int]:
    """Make the copy that a start with these settings would make; return the file and its bytes.

    Raises:
        MistralError: it could not be kept.
    """
    from mistral_cli.backends.native_plan import choose_dtype
    from mistral_cli.engine.device import choose_device
    from mistral_cli.weights.checkpoint import keep_model
    from mistral_cli.weights.files import find_files
    from mistral_cli.weights.quantized_cache import NotKeptError

    where = choose_device(settings.device)
    dtype, cache = choose_dtype(settings.dtype, find_files(folder), where), open_cache(settings, console)
    try:
        stored = keep_model(folder, dtype, where, bar.update, quantize=scheme, cache=cache)
    except NotKeptError as error:
        raise MistralError(error.message, "Free some space, or raise cache_limit.") from error
    return stored.path, stored.nbytes


def _into_folder(folder: Path, target: Path, scheme: str, bar: ByteBar, *, force: bool) -> tuple[Path, int]:
    from mistral_cli.text.tokenizer_files import beside_model
    from mistral_cli.weights.bitsandbytes_export import export

    beside = beside_model(folder)
    return target, export(folder, target, scheme, force=force, beside=beside, progress=bar.update)


def _bytes_of(folder: Path) -> int:
    from mistral_cli.weights.files import find_files

    return find_files(folder).nbytes


def _use_threads(settings: Settings) -> None:
    import torch

    from mistral_cli.commands.threads import granted_cores

    torch.set_num_threads(settings.threads or granted_cores())
