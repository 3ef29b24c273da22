"""``mistral show``: what a model or an adapter is, from its files alone. Loads nothing and needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from mistral_cli.commands import options as opt
from mistral_cli.commands.show_facts import (
    USUAL_CONTEXT,
    Facts,
    as_json,
    kv_cache_bytes,
    memory_needed,
    memory_of,
    not_quantized,
    own_scheme,
    read_facts,
    unasked_scheme,
)
from mistral_cli.commands.show_tree import build_tree, draw
from mistral_cli.commands.sizes import size
from mistral_cli.commands.start import start
from mistral_cli.errors import UsageError
from mistral_cli.ui.columns import labelled
from mistral_cli.ui.console import Console


def show(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            parser=str,
            help="A folder (of an adapter, too), a fetched hub id, its short name (7b), builtin, or a config.json "
            "alone.",
        ),
    ],
    revision: opt.RevisionOption = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="MODEL", parser=str, help="Say whether the adapter fits this model.")
    ] = None,
    tree: Annotated[bool, typer.Option("--tree", help="Draw the modules with their shapes.")] = False,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell what a model is: shape, parameters, tokenizer, context, memory, licence.

    Of a LoRA adapter: base, rank, targets, parameters, size, and whether it fits its base, if that is on this disk.
    """
    from mistral_cli.commands.show_adapter import find_adapter_folder
    from mistral_cli.weights.hub import full_name

    _, console = start(ctx)
    model = full_name(model)
    adapter = find_adapter_folder(model, revision)
    if adapter is not None:
        if tree:
            raise UsageError(f"--tree is for models, but {model!a:.200} is an adapter.", "Leave it out.")
        _show_adapter(adapter, on, console, as_object=as_object)
        return
    if on is not None:
        raise UsageError(f"--on is for adapters, but {model!a:.200} is none.", "Leave it out.")
    shapes, rows, values = _read(model, _find(model, revision))
    if as_object:
        console.json({**values, **({"tensors": shapes} if tree else {})})
    elif tree:
        console.line("\n".join(draw(Path(model).name, build_tree(shapes))))
    else:
        _print(rows, console)


def _show_adapter(folder: Path, on: str | None, console: Console, *, as_object: bool) -> None:
    from mistral_cli.commands.show_adapter import adapter_json, adapter_rows, read_adapter

    facts = read_adapter(folder, on)
    if as_object:
        console.json(adapter_json(facts))
    else:
        _print(list(adapter_rows(facts)), console)


def _print(rows: list[tuple[str, str]], console: Console) -> None:
    console.line("\n".join(labelled(rows, console.out.columns if console.out.is_terminal else None)))


def _read(name: str, path: Path) -> tuple[Mapping[str, tuple[int, ...]], list[tuple[str, str]], Mapping[str, object]]:
    """Return the shape of every tensor, the lines for a person, and the values for a program."""
    from mistral_cli.commands.show_foreign import foreign_json, foreign_rows, read_foreign
    from mistral_cli.weights.architecture import foreign_architecture

    architecture = foreign_architecture(path)
    if architecture is not None:
        foreign = read_foreign(name, path, architecture)
        return foreign.shapes, list(foreign_rows(foreign)), foreign_json(foreign)
    facts = read_facts(name, path)
    return facts.args.tensor_shapes(), list(_rows(facts)), as_json(facts)


def _find(name: str, revision: str | None) -> Path:
    """Return the folder of the model, or the config file that ``name`` is the path of."""
    from mistral_cli.weights.hub import resolve

    path = Path(name)
    is_config = path.suffix == ".json" and len(name) < 4096 and path.is_file()
    return path if is_config else resolve(name, revision=revision, weights=False)


def _rows(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield label and text of each line."""
    args = facts.args
    yield "model", facts.name
    yield "path", str(facts.path)
    yield "architecture", facts.architecture
    yield "parameters", f"{args.parameters:,}"
    yield "layers", f"{args.n_layers}, {args.dim} wide, {args.hidden_dim} inside the feed-forward block"
    yield "attention", f"{args.n_heads} query heads of {args.head_dim}, {args.n_kv_heads} key-value heads"
    yield "vocabulary", f"{args.vocab_size:,}" + (" (embedding tied to the output)" if args.tie_word_embeddings else "")
    yield "rotary base", f"{args.rope_theta:,.10g}"
    yield "window", _window(facts)
    yield "context", f"{args.max_position_embeddings:,} tokens"
    yield "tokenizer", str(facts.tokenizer)
    yield "licence", facts.license or "not stated"
    yield "weights", _weights(facts)
    yield "quantization", _quantization(facts)
    if stays := not_quantized(facts):
        yield "", f"{', '.join(stays)} stay in 16 bits"
    yield from _memory(facts)


def _window(facts: Facts) -> str:
    window = facts.args.sliding_window
    if isinstance(window, tuple):
        sizes = ", ".join(f"{size:,}" for size in sorted({size for size in window if size is not None}))
        return f"{sizes} tokens in {sum(size is not None for size in window)} of {len(window)} layers"
    return "none" if window is None else f"{window:,} tokens"


def _weights(facts: Facts) -> str:
    dtype = facts.dtype or "unknown type"
    if not facts.weight_files:
        return f"none here (a config alone; {dtype})"
    files = "1 file" if facts.weight_files == 1 else f"{facts.weight_files} files"
    return f"{dtype}, {size(facts.weight_bytes)} in {files}"


def _quantization(facts: Facts) -> str:
    """Say what the model is loaded as where nobody asks for anything, and how to ask."""
    own = own_scheme(facts)
    if own:
        return f"{own}: these files are quantized already, and are loaded as they are"
    scheme = unasked_scheme(facts)
    if scheme == "none":
        return "none unless asked for: --quantize nf4, int8 or int4"
    return f"{scheme} unless told otherwise ({size(memory_needed(facts.args)[scheme])}): --quantize none, int8 or int4"


def _memory(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield what the KV cache and the weights take in memory, type by type."""
    tokens = min(facts.args.max_position_embeddings, USUAL_CONTEXT)
    cache = kv_cache_bytes(facts.args, tokens)
    per_token = facts.args.kv_bytes_per_token(2)
    yield "KV cache", f"{per_token:,} bytes a token in bfloat16; {size(cache)} for {tokens:,} tokens"
    label = "memory"
    for dtype, nbytes in memory_of(facts).items():
        yield label, f"{dtype:8}  {size(nbytes):>8} of weights, {size(nbytes + cache):>8} with that cache"
        label = ""
