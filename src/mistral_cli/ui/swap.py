"""Another model in the place of the one that answers: checked, then the old one freed, then loaded; never both at once.

Two models of a good size do not fit into one memory. What goes wrong brings the old one back, and the chat stays as it
is. Knows no file and no memory: ``Repl.check`` and ``Repl.load`` do.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mistral_cli.adapting import labels
from mistral_cli.errors import MistralError, UsageError
from mistral_cli.ui.adapters import put_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mistral_cli.contract import Backend, Cancel, Event, ModelInfo, Prompt, SamplingParams, Tool
    from mistral_cli.ui.repl import Repl


@dataclass(frozen=True, slots=True, kw_only=True)
class NoBackend:
    """Stands where a model was that is not loaded any more; whatever is asked of it is an error that says so."""

    info: ModelInfo
    """Of the model that was."""
    defaults: Mapping[str, object] = field(default_factory=dict)

    def count(self, prompt: Prompt, tools: Sequence[Tool] = ()) -> int:  # noqa: ARG002 (the protocol's)
        """Refuse to count.

        Raises:
            MistralError: always.
        """
        raise self._refusal()

    def stream(
        self,
        prompt: Prompt,  # noqa: ARG002
        params: SamplingParams,  # noqa: ARG002
        *,
        tools: Sequence[Tool] = (),  # noqa: ARG002
        cancel: Cancel | None = None,  # noqa: ARG002
    ) -> Iterator[Event]:
        """Refuse to answer.

        Raises:
            MistralError: always.
        """
        raise self._refusal()

    def _refusal(self) -> MistralError:
        return MistralError("No model is loaded.", f"/model NAME loads one, such as {self.info.name}.")


def swap_model(repl: Repl, name: str) -> None:
    """Let another model answer the next question.

    Raises:
        UsageError: none can be loaded here, or it cannot chat.
        MistralError: it is not there, or not sound, or does not fit; the old one answers on.
        KeyboardInterrupt: Ctrl-C, and the old one answers on.
    """
    load = repl.load
    if load is None:
        raise UsageError("No other model can be loaded here.", "Leave, and start with --model.")
    old = repl.backend.info
    is_loaded = not isinstance(repl.backend, NoBackend)
    if repl.check(name) and is_loaded:
        repl.console.notice(f"{old.name} answers already.")
        return
    repl.backend = NoBackend(info=old)  # from here on nobody holds the old one
    failure = _load(repl, partial(load, name))
    if failure is not None and is_loaded and not repl.is_strict:  # a strict chat ends here
        _bring_back(repl, old, repl.reload or partial(load, old.name))
    if failure is not None:
        raise failure
    repl.place = None
    if old.adapters:
        repl.console.notice(f"Without {labels(old.adapters)}, made for {old.name}.")
    repl.console.notice(f"{repl.backend.info.name} answers from now on.")


def _load(repl: Repl, load: Callable[[], Backend]) -> BaseException | None:
    """Load a model; return what went wrong, holding nothing of what was loaded until then."""
    try:
        repl.backend = _able_to_chat(load())
    except (MistralError, KeyboardInterrupt) as error:
        _let_go(error)
        return error
    return None


def _able_to_chat(backend: Backend) -> Backend:
    if backend.info.is_base:
        raise UsageError(f"{backend.info.name} is a base model without a chat template, so it cannot chat.")
    return backend


def _let_go(error: BaseException | None) -> None:
    """Free what the frames of an error hold: the weights that were loaded before it."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _bring_back(repl: Repl, old: ModelInfo, load: Callable[[], Backend]) -> None:
    """Load the old model again; where even that fails, the chat goes on without any, and says so."""
    repl.console.notice(f"Loading {old.name} again.")
    try:
        repl.backend = load()
        if old.adapters:
            put_on(repl.backend, old.adapters, repl.console)
    except (MistralError, KeyboardInterrupt) as error:
        if isinstance(error, MistralError):
            repl.console.error(error)
        repl.console.notice("No model is loaded now; the chat is as it was. /model NAME loads one.")
