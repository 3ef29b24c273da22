"""``mistral perplexity``: how well a model foretells a text, over sliding windows."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import TYPE_CHECKING, Annotated

import typer

from mistral_cli.commands import options as opt
from mistral_cli.commands.loading import open_backend
from mistral_cli.commands.prompt import Reader
from mistral_cli.commands.start import start
from mistral_cli.errors import UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.console import Console
from mistral_cli.ui.stdin import Stdin
from mistral_cli.ui.table import show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistral_cli.backends.native import NativeBackend
    from mistral_cli.text.tokenizer import Tokenizer

WINDOW = 2048
"""Tokens read at once, where the model was made for as many."""


def perplexity(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", parser=str, help="A text; `-` is stdin.")],
    window: Annotated[
        int | None, typer.Option(metavar="N", help="Tokens read at once (default: 2048, or what the model can).")
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(metavar="N", help="Tokens between the beginnings of two windows (default: half a window)."),
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=2, help="Read the first N tokens only.")] = None,
    model: opt.ModelOption = None,
    revision: opt.RevisionOption = None,
    chat_template: opt.ChatTemplateOption = None,
    adapter: opt.AdapterOption = None,
    dtype: opt.DtypeOption = None,
    quantize: opt.QuantizeOption = None,
    kv: opt.KvOption = None,
    device: opt.DeviceOption = None,
    threads: opt.ThreadsOption = None,
    quiet: opt.QuietOption = None,
) -> None:
    """Measure how well a model foretells a text; the lower, the better.

    A table goes to stderr, one JSON object to stdout: perplexity by token, bits by byte.
    """
    settings, console = start(ctx, {**locals(), "file": None})
    text = Reader(stdin=Stdin.open(), console=console).read(file)
    if not text:
        raise UsageError(f"{'stdin' if file == '-' else file} is empty: there is nothing to measure.", "Give a text.")
    run_perplexity(text, settings, console, window=window, stride=stride, limit=limit)


def run_perplexity(
    text: str, settings: Settings, console: Console, *, window: int | None, stride: int | None, limit: int | None
) -> None:
    """Load the model, measure, show and print.

    Raises:
        MistralError: as loading does; a window or stride that cannot be.
    """
    backend = _native(settings, console)
    from mistral_cli.measure.perplexity import measure_perplexity

    ids, model = backend.tokenizer.encode(text, bos=True), backend.engine.model
    if limit is not None and len(ids) > limit:
        console.notice(f"The first {limit:,} of {len(ids):,} tokens are read.")
        ids = ids[:limit]
    size = min(WINDOW, model.args.max_position_embeddings) if window is None else window
    step = max(1, size // 2) if stride is None else stride
    begun = time.monotonic()
    found = measure_perplexity(
        model,
        ids,
        window=size,
        stride=step,
        notify=lambda done, total: console.status(f"Measured {done:,} of {total:,} tokens"),
    )
    unscored = set(range(0, len(ids), step)) if step == size else {0}
    nbytes = _bytes_of(backend.tokenizer, [token for number, token in enumerate(ids) if number not in unscored])
    bits = found.bits_per_byte(nbytes)
    rows = [
        ("perplexity", f"{found.value:.4f}"),
        ("bits per byte", f"{bits:.4f}"),
        ("tokens", f"{found.tokens:,}"),
        ("bytes", f"{nbytes:,}"),
        ("windows", f"{found.windows} of {size:,}, every {step:,}"),
        ("seconds", f"{time.monotonic() - begun:.1f}"),
    ]
    show_table(console, (backend.info.name, backend.info.quantization), rows)
    console.json(
        {
            "model": backend.info.name,
            "quantization": backend.info.quantization,
            "kv": backend.info.kv,
            "adapters": [dataclasses.asdict(adapter) for adapter in backend.info.adapters],
            "dtype": backend.info.dtype,
            "perplexity": found.value,
            "mean_nats": math.log(found.value),
            "bits_per_byte": bits,
            "tokens": found.tokens,
            "bytes": nbytes,
            "window": size,
            "stride": step,
            "windows": found.windows,
        }
    )


def _native(settings: Settings, console: Console) -> NativeBackend:
    backend = open_backend(settings, console)
    from mistral_cli.measure.subjects import native

    return native(backend)


def _bytes_of(tokenizer: Tokenizer, ids: Sequence[int]) -> int:
    """Return the bytes of text that these tokens stand for; 1 where they have none, so that one can divide by it."""
    return max(1, sum(len(tokenizer.piece_bytes(token)) for token in ids))
