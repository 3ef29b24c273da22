"""One answer from a back end into a form, with its progress, notices and end. Knows no flags and no streams."""

from __future__ import annotations

import contextlib

from mistral_cli.commands.ending import ENDING
from mistral_cli.commands.forms import Form
from mistral_cli.contract import Backend, Cancel, Done, Prompt, SamplingParams, TextDelta
from mistral_cli.errors import MistralError, OutOfMemoryError
from mistral_cli.ui.console import Console
from mistral_cli.ui.events import show_beside, show_end


def answer(
    backend: Backend, prompt: Prompt, params: SamplingParams, *, form: Form, console: Console, cancel: Cancel | None
) -> Done:
    """Stream one answer into ``form`` and return its end.

    Raises:
        MistralError: what the back end or the form raises; what came before it has been shown.
    """
    said: list[TextDelta] = []
    try:
        for event in backend.stream(prompt, params, cancel=cancel):
            ENDING.check()
            if isinstance(event, Done):
                form.finish(event)
                show_end(event, params.max_tokens, console)
                return event
            if isinstance(event, TextDelta):
                said.append(event)
                form.push(event)
            else:
                show_beside(event, console)
    except OutOfMemoryError:
        _keep(said, form)
        raise
    except BaseException:
        with contextlib.suppress(OSError):  # the reader is gone: the first error is the one to tell
            form.abort()
        raise
    raise MistralError("The answer stopped without an end.", "This is a defect of the back end.")


def _keep(said: list[TextDelta], form: Form) -> None:
    """End the answer where the memory ended, as one that was cut short; where nothing was said there is none."""
    tokens = [token for delta in said for token in delta.tokens]
    if tokens:
        text, ids = "".join(delta.text for delta in said), tuple(token.id for token in tokens)
        form.finish(Done(reason="cancelled", text=text, ids=ids, answer_tokens=len(ids)))
    else:
        form.abort()
