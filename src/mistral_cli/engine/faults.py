"""What the engine refuses before it starts and what may go wrong on the way, each in one line for a person."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mistral_cli.errors import ContextError, MistralError, OutOfMemoryError, UsageError
from mistral_cli.weights.allocate import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mistral_cli.contract import SamplingParams


def check_prompt(prompt: Sequence[int], context: int, most: int) -> None:
    """Refuse what cannot be answered: ``context`` tokens fit, and the model was made for ``most``.

    Raises:
        UsageError: the prompt is empty.
        ContextError: it leaves no room for an answer.
    """
    if not prompt:
        raise UsageError("The prompt is empty.", "Give at least one token.")
    if len(prompt) >= context:
        raise ContextError.of_prompt(len(prompt), context, most=most)


def check_bias(params: SamplingParams, vocab_size: int) -> None:
    """Refuse a bias for a token that does not exist.

    Raises:
        UsageError: naming the token and the vocabulary's size.
    """
    for token in params.logit_bias:
        if token >= vocab_size:
            raise UsageError(f"--logit-bias names token {token}, but the model has {vocab_size:,} (from 0).")


def not_finite(number: int, prompt_tokens: int) -> MistralError:
    """Say at which token the logits held NaN or infinity."""
    return MistralError(
        f"The model's logits are not finite (NaN or infinity) at token {number} of the answer, "
        f"after {prompt_tokens + number - 1:,} tokens.",
        "Try --dtype float32; if it stays so, the weights are damaged: fetch the model again.",
    )


def out_of_memory(error: RuntimeError) -> OutOfMemoryError:
    """Return torch's memory error, of whichever device, as ours."""
    first = str(error).splitlines()[0]
    return OutOfMemoryError(f"The memory ran out while computing: {first}", "Lower --context, or shorten the prompt.")


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Raise torch's memory errors, of whichever device, as ours."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise out_of_memory(error) from error
        raise
