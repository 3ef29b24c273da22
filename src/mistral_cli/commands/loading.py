"""From settings to a loaded model: which one, where it lies, what it may use. The tensor tower is entered here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mistral_cli.commands.threads import choose_threads, granted_cores
from mistral_cli.contract import Backend, SamplingParams
from mistral_cli.settings.options import SAMPLING, Settings
from mistral_cli.ui.console import Console


def open_backend(settings: Settings, console: Console) -> Backend:
    """Load the model that the settings name, else the default if it is on the disk, else the built-in guide.

    Raises:
        ModelNotFoundError, CheckpointError, OutOfMemoryError, UsageError: as ``find_or_offer`` and ``load_native`` do.
    """
    from mistral_cli.commands.pull import find_or_offer
    from mistral_cli.weights.hub import default_model

    name = settings.model or default_model()
    path = find_or_offer(name, settings.revision, console)
    if settings.model is None:
        _say_what_was_chosen(name, console)
    console.status(f"Loading {name} …")
    return _load(name, path, settings)


def _say_what_was_chosen(name: str, console: Console) -> None:
    from mistral_cli.weights.hub import BUILTIN, DEFAULT_MODEL

    if name == BUILTIN:
        console.notice(
            f"No model named and {DEFAULT_MODEL} is not on this disk: the small built-in guide answers. "
            f"For the real one: mistral pull {DEFAULT_MODEL}"
        )


def _load(name: str, path: Path, settings: Settings) -> Backend:
    import torch

    from mistral_cli.backends.native import load_native

    torch.set_num_threads(settings.threads or granted_cores())
    backend = load_native(
        path,
        name=name,
        dtype=settings.dtype,
        device=settings.device,
        context=settings.context,
        template=settings.template,
    )
    torch.set_num_threads(choose_threads(settings.threads, backend.info.parameters))
    return backend


def sampling_params(settings: Settings, defaults: Mapping[str, object]) -> SamplingParams:
    """Return the parameters of an answer: what the user set, else the model's own ``defaults``, else the program's.

    Raises:
        UsageError: a value out of its range.
    """
    own = {name: value for name, value in defaults.items() if name in SAMPLING}
    return SamplingParams().with_values({**own, **settings.given(*SAMPLING)})
