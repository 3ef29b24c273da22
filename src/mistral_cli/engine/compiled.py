"""Steps of one token whose layers torch compiles. Knows no text. Says beforehand what cannot be."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch

from mistral_cli.engine.captured import Steps, capture_graph
from mistral_cli.engine.faults import memory_errors
from mistral_cli.engine.static_step import call_layer
from mistral_cli.errors import MistralError, UsageError
from mistral_cli.model.cache import PLAIN

if TYPE_CHECKING:
    from mistral_cli.engine.captured import Step
    from mistral_cli.model.args import ModelArgs
    from mistral_cli.model.transformer import Mistral


def check_compile(args: ModelArgs, device: torch.device, kv: str) -> None:
    """Refuse what cannot be compiled.

    Raises:
        UsageError: naming the reason.
    """
    if args.moe is not None:
        raise UsageError("--compile cannot be used with a mixture of experts.", "Leave it out.")
    if kv != PLAIN:
        raise UsageError(f"--compile cannot be used with --kv {kv}.", "Leave out one of the two.")
    if device.type == "cpu" and not _has_compiler():
        reason = "--compile cannot be used: torch finds no C++ compiler."
        raise UsageError(reason, "Install g++ (or name another in CXX), or leave it out.")


def _has_compiler() -> bool:
    from torch._inductor import cpp_builder, exc  # noqa: PLC0415 (seconds, and only where it is asked for)

    try:
        cpp_builder.get_cpp_compiler()
    except (exc.InvalidCxxCompiler, RuntimeError, OSError):
        return False
    return True


def compiled_steps(model: Mistral) -> Steps:
    """Return the steps of ``model``, layers compiled at the first of them: once, as all layers are alike."""
    return Steps(model, compile_now, torch.compile(call_layer))


def compile_now(step: Step, device: torch.device) -> Step | None:
    """Take ``step`` once, so that it is compiled, and return it; on CUDA, what repeats it.

    Raises:
        MistralError: torch could not compile it.
        OutOfMemoryError: no memory to do so.
    """
    try:
        with warnings.catch_warnings(), memory_errors():
            warnings.simplefilter("ignore")  # what torch says of its own parts and of bitsandbytes'
            step()
    except RuntimeError as error:
        first = str(error).strip().splitlines()[0]
        raise MistralError(f"torch could not compile the model: {first}", "Leave out --compile.") from error
    return capture_graph(step, device) if device.type == "cuda" else step
