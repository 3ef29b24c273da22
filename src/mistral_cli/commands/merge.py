"""``mistral merge``: a model and its adapters become one model, in a folder of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from mistral_cli.adapting import read_choice
from mistral_cli.commands import options as opt
from mistral_cli.commands.sizes import size
from mistral_cli.commands.start import start
from mistral_cli.ui.progress import ByteBar


def merge(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", parser=str, help="A folder or a hub id, not quantized.")],
    adapters: Annotated[
        list[str],
        typer.Argument(metavar="FOLDER[:SCALE]…", parser=str, help="LoRA adapters: a folder or a hub id each."),
    ],
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="DIR", parser=str, help="The new model's folder.", show_default=False),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace the model in DIR.")] = False,
    quantize: Annotated[
        Literal["nf4", "int8"] | None,
        typer.Option("--quantize", help="Quantize the merged weights, in a form that transformers reads, too."),
    ] = None,
    revision: opt.RevisionOption = None,
    dtype: opt.DtypeOption = None,
    threads: opt.ThreadsOption = None,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: opt.QuietOption = None,
) -> None:
    """Put LoRA adapters into a model's weights for good, and print the new folder.

    It is a model like any other, for `-m DIR` and for transformers, quantized if asked; the old one stays as it is.
    It is made tensor by tensor: memory need not hold the model.
    """
    from mistral_cli.commands.pull import find_or_offer, find_or_offer_adapter
    from mistral_cli.weights.hub import full_name

    settings, console = start(ctx, {"revision": revision, "dtype": dtype, "threads": threads, "quiet": quiet})
    choices, name = [read_choice(text) for text in adapters], full_name(model)
    folder = find_or_offer(name, settings.revision, console)
    for choice in choices:
        find_or_offer_adapter(choice.path, console)
    import torch

    from mistral_cli.commands.threads import granted_cores
    from mistral_cli.text.tokenizer_files import beside_model
    from mistral_cli.weights.adapters.merge import merge as merge_into
    from mistral_cli.weights.checkpoint import DTYPES

    torch.set_num_threads(settings.threads or granted_cores())
    begun, target = time.monotonic(), Path(output)
    merged = merge_into(
        folder,
        [(choice.path, choice.strength) for choice in choices],
        target,
        dtype=DTYPES[settings.dtype] if settings.dtype else None,
        scheme=quantize,
        force=force,
        beside=beside_model(folder),
        progress=ByteBar(console=console, label=f"Merging {name}").update,
    )
    console.clear_status()
    seconds = time.monotonic() - begun
    if as_object:
        facts = {"path": str(target), "layers": merged.layers, "quantization": quantize or "none"}
        console.json({**facts, "bytes": merged.nbytes, "seconds": round(seconds, 2)})
    else:
        console.line(str(target))
    console.notice(f"{merged.layers:,} layers of {name} changed: {size(merged.nbytes)}, in {seconds:.0f} s.")
