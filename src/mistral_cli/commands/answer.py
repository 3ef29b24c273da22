"""One answer from a back end into a form, with its progress, notices and end. Knows no flags and no streams."""

from __future__ import annotations

import contextlib

from mistral_cli.commands.forms import Form
from mistral_cli.contract import (
    Backend,
    Cancel,
    Done,
    Event,
    Notice,
    PrefillProgress,
    Prompt,
    SamplingParams,
    TextDelta,
)
from mistral_cli.errors import MistralError
from mistral_cli.ui.console import Console


def answer(
    backend: Backend, prompt: Prompt, params: SamplingParams, *, form: Form, console: Console, cancel: Cancel | None
) -> Done:
    """Stream one answer into ``form`` and return its end.

    Raises:
        MistralError: what the back end or the form raises; what came before it has been shown.
    """
    try:
        for event in backend.stream(prompt, params, cancel=cancel):
            if isinstance(event, Done):
                form.finish(event)
                _say_how_it_ended(event, params, console)
                return event
            _show(event, form, console)
    except BaseException:
        with contextlib.suppress(OSError):  # the reader is gone: the first error is the one to tell
            form.abort()
        raise
    raise MistralError("The answer stopped without an end.", "This is a defect of the back end.")


def _show(event: Event, form: Form, console: Console) -> None:
    if isinstance(event, TextDelta):
        form.push(event)
    elif isinstance(event, PrefillProgress):
        console.status(f"Reading the prompt: {event.done:,} of {event.total:,} tokens")
    elif isinstance(event, Notice):
        console.notice(event.text)


def _say_how_it_ended(done: Done, params: SamplingParams, console: Console) -> None:
    if not done.text and done.reason != "cancelled":
        console.notice("(empty answer)")
    if done.reason == "length" and done.answer_tokens != params.max_tokens:
        total = done.prompt_tokens + done.answer_tokens
        console.notice(f"(the answer ends here: the context of {total:,} tokens is full)")
    if done.reason == "cancelled":
        console.notice("(stopped)")


def stats_line(done: Done) -> str:
    """Return one line of what an answer cost."""
    reused = f" ({done.reused_tokens:,} reused)" if done.reused_tokens else ""
    return " · ".join(
        (
            f"prompt {done.prompt_tokens:,} tokens{reused}",
            f"answer {done.answer_tokens:,} tokens",
            f"first after {done.seconds_to_first_token:.2f} s",
            f"{done.tokens_per_second:.1f} tokens/s",
            f"ended by {done.reason}",
            f"seed {done.seed}",
            f"peak memory {done.peak_memory / 2**20:,.0f} MiB",
        )
    )
