"""Adapters put onto a model again: those of a kept chat, or of a model that comes back. Knows no tensor and no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_cli.adapting import labels
from mistral_cli.errors import MistralError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mistral_cli.adapting import AdapterInfo, Adapters
    from mistral_cli.chat.turn import TurnRecord
    from mistral_cli.contract import Backend
    from mistral_cli.ui.console import Console


def adapters_of(backend: Backend) -> Adapters:
    """Return what puts adapters onto a back end's model.

    Raises:
        UsageError: nothing does.
    """
    found: Adapters | None = getattr(backend, "adapters", None)
    if found is None:
        raise UsageError(f"{backend.info.name} takes no adapters here.", "Our own engine does: --backend native.")
    return found


def go_on_with(backend: Backend, record: TurnRecord, console: Console) -> None:
    """Put those adapters onto the model with which it gave a kept answer; what cannot be is said, and left out."""
    wanted, there = record.adapters, backend.info.adapters
    if wanted == there:
        return
    if not wanted:
        console.notice(f"The last answer was given without {labels(there)}, which /adapter off takes off.")
    elif backend.info.name != record.model and backend.info.path != record.identity:
        console.notice(f"{labels(wanted)}, which answered on {record.model}, stays off.")
    else:
        put_on(backend, wanted, console)


def put_on(backend: Backend, wanted: Iterable[AdapterInfo], console: Console) -> None:
    """Let ``wanted`` alone be on the model; one that cannot be is said, and left out."""
    try:
        adapters = adapters_of(backend)
        adapters.off()
    except UsageError as error:
        console.notice(f"Without {labels(wanted)} from here on. {error.message}")
        return
    for one in wanted:
        try:
            adapters.load(one.path, one.strength, name=one.name)
        except MistralError as error:
            console.notice(f"{one.label} answered so far, but is left out from here on. {error.message}")
