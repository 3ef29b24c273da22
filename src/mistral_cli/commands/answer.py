"""One answer from a back end into a form, with its progress, notices and end. Knows no flags and no streams."""

from __future__ import annotations

import contextlib

from mistral_cli.commands.ending import ENDING
from mistral_cli.commands.forms import Form
from mistral_cli.contract import Backend, Cancel, Done, Prompt, SamplingParams, TextDelta
from mistral_cli.errors import MistralError
from mistral_cli.ui.console import Console
from mistral_cli.ui.events import show_beside, show_end


def answer(
    backend: Backend, prompt: Prompt, params: SamplingParams, *, form: Form, console: Console, cancel: Cancel | None
) -> Done:
    """Stream one answer into ``form`` and return its end.

    Raises:
        MistralError: what the back end or the form raises; what came before it has been shown.
    """
    try:
        for event in backend.stream(prompt, params, cancel=cancel):
            ENDING.check()
            if isinstance(event, Done):
                form.finish(event)
                show_end(event, params.max_tokens, console)
                return event
            if isinstance(event, TextDelta):
                form.push(event)
            else:
                show_beside(event, console)
    except BaseException:
        with contextlib.suppress(OSError):  # the reader is gone: the first error is the one to tell
            form.abort()
        raise
    raise MistralError("The answer stopped without an end.", "This is a defect of the back end.")
