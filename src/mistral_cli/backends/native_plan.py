"""What loading a model with our own engine would mean: its files, form, tokenizer and memory. Loads no weight.

What is wrong with a model is found in the order of what finding out costs: the device, the config, the tokenizer, and
then the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mistral_cli.backends.generation_config import GenerationConfig, read_generation_config
from mistral_cli.engine.compiled import check_compile
from mistral_cli.engine.device import choose_device
from mistral_cli.engine.plan import Plan, plan_context
from mistral_cli.engine.reclaim import reclaimable
from mistral_cli.errors import UsageError
from mistral_cli.model.cache import KINDS, PLAIN
from mistral_cli.text.tokenizer import check_vocabulary, load_tokenizer
from mistral_cli.weights.checkpoint import DTYPES
from mistral_cli.weights.config import read_args
from mistral_cli.weights.default_scheme import default_scheme
from mistral_cli.weights.files import find_files, read_tensors
from mistral_cli.weights.formats import main_dtype
from mistral_cli.weights.mapped_tensors import STORED
from mistral_cli.weights.methods import NONE, choose_method, method_reasons
from mistral_cli.weights.prequantized import check_asked, stated_scheme
from mistral_cli.weights.taken_over import held_bytes

if TYPE_CHECKING:
    from mistral_cli.model.args import ModelArgs
    from mistral_cli.text.tokenizer import Tokenizer
    from mistral_cli.weights.files import CheckpointFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class NativePlan:
    """A model that nothing is wrong with, as far as can be told without its weights."""

    folder: Path
    own: str | None
    """What it is quantized to already."""
    plan: Plan
    """Its shape, its form, its place."""
    tokenizer: Tokenizer
    config: GenerationConfig


def plan_native(  # noqa: PLR0913 (the options of a model)
    path: str | Path,
    *,
    dtype: str | None = None,
    device: str | None = None,
    template: str | None = None,
    quantize: str | None = None,
    kv: str = PLAIN,
    compile: bool = False,  # noqa: A002 (as the flag)
    adapter_parameters: int = 0,
) -> NativePlan:
    """Look at a model before it is loaded. The arguments are those of ``load_native``, and so is what is raised."""
    folder, where = Path(path), choose_device(device)
    choose_method(quantize or NONE, where)
    if kv not in KINDS:
        raise UsageError(f"--kv is {kv!a:.40}, but must be {' or '.join(KINDS)}.")
    files = find_files(folder)
    args, number = read_args(files.config), choose_dtype(dtype, files, where)
    own = stated_scheme(files.config)
    if own:
        check_asked(quantize, own)
    if compile:
        check_compile(args, where, kv)
    scheme = own or quantize or _default_scheme(args, files, where)
    tokenizer = load_tokenizer(folder, template=template)
    check_vocabulary(tokenizer, args.vocab_size)
    held = held_bytes(files, args, number, where) if own else None
    plan = Plan(args=args, dtype=number, device=where, quantize=scheme, kv=kv, held=held, adapters=adapter_parameters)
    return NativePlan(folder=folder, own=own, plan=plan, tokenizer=tokenizer, config=read_generation_config(folder))


def _default_scheme(args: ModelArgs, files: CheckpointFiles, device: torch.device) -> str:
    """Return what a model is quantized to where nobody said: nothing, where nothing computes it on this device."""
    scheme = default_scheme(args, files.config)
    return scheme if any(reason is None for _, reason in method_reasons(scheme, device)) else NONE


def choose_dtype(asked: str | None, files: CheckpointFiles, device: torch.device) -> torch.dtype:
    """Return the dtype to compute in: the one asked for, else that of most bytes in the files."""
    if asked is not None and asked not in DTYPES:
        raise UsageError(f"--dtype is {asked!a:.40}, but must be one of {', '.join(DTYPES)}.")
    if asked == "float64" and device.type == "mps":
        raise UsageError("--dtype float64 cannot be used: Apple's GPUs do not compute in it.", "Take float32.")
    if asked is not None:
        return DTYPES[asked]
    # a type that is not in the table is refused, by name, when the weights are read
    return STORED.get(main_dtype(read_tensors(files).values()), torch.bfloat16)


def check_in_place_of_another(found: NativePlan, context: int | None) -> None:
    """Check that a model fits into the memory that is free when this process has given up the one it holds.

    Raises:
        UsageError, OutOfMemoryError: as ``plan_context``.
    """
    plan_context(found.plan, context, more=reclaimable(found.plan.device))
