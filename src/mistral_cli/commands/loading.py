"""From settings to a loaded model: which one, where it lies, what it may use. The tensor tower is entered here."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mistral_cli.adapting import AdapterChoice, doubt, read_choice
from mistral_cli.commands.ending import ENDING
from mistral_cli.commands.show_facts import USUAL_CONTEXT
from mistral_cli.commands.threads import choose_threads, granted_cores
from mistral_cli.contract import Backend, Prompt, SamplingParams
from mistral_cli.errors import ContextError
from mistral_cli.settings.options import SAMPLING, Settings
from mistral_cli.settings.places import places
from mistral_cli.ui.console import Console
from mistral_cli.ui.progress import ByteBar


def open_backend(settings: Settings, console: Console, prompt: Prompt | None = None) -> Backend:
    """Load the model that the settings name, else the default if it is on the disk, else the built-in guide.

    Raises:
        ContextError: ``prompt``, where it is known already, is longer than the context can be.
        ModelNotFoundError, CheckpointError, OutOfMemoryError, UsageError: as ``find_or_offer`` and ``load_backend`` do.
    """
    from mistral_cli.commands.pull import find_or_offer, find_or_offer_adapter
    from mistral_cli.weights.hub import default_model, full_name

    adapters = tuple(map(read_choice, settings.adapter))
    name = full_name(settings.model or default_model())
    path = find_or_offer(name, settings.revision, console)
    if settings.model is None:
        _say_what_was_chosen(name, console)
    if prompt is not None:
        _refuse_too_long(prompt, path, settings)
    which = _choose(path, settings, console)
    for choice in adapters:
        find_or_offer_adapter(choice.path, console)
    console.status(f"Loading {name} …")
    with _collecting_nothing():
        return _load(name, path, settings, which, console, adapters=adapters)


def check_backend(settings: Settings, console: Console) -> bool:
    """Check, without reading a weight, that the model of the settings would load in the place of the present one.

    Returns:
        whether it can chat.

    Raises:
        MistralError: as ``open_backend``.
    """
    from mistral_cli.backends.choice import check_backend as check
    from mistral_cli.commands.pull import find_or_offer
    from mistral_cli.weights.hub import default_model, full_name

    path = find_or_offer(full_name(settings.model or default_model()), settings.revision, console)
    tokenizer = check(
        _choose(path, settings, console),
        path,
        dtype=settings.dtype,
        device=settings.device,
        context=settings.context,
        template=settings.chat_template,
        quantize=settings.quantize,
        kv=settings.kv,
        compile=settings.compile,
    )
    return not tokenizer.is_base


@contextlib.contextmanager
def _collecting_nothing() -> Iterator[None]:
    """Keep the garbage collector out: it would look through the libraries' objects again and again, and find none."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()  # what is loaded now stays to the end


def _say_what_was_chosen(name: str, console: Console) -> None:
    from mistral_cli.weights.hub import BUILTIN, DEFAULT_MODEL

    if name == BUILTIN:
        console.notice(f"The small built-in guide answers. For a real model: mistral pull {DEFAULT_MODEL}")


def _refuse_too_long(prompt: Prompt, path: Path, settings: Settings) -> None:
    """Count before the weights are read: those of a large model take minutes. The back end counts again, exactly."""
    from mistral_cli.text.template import encode_prompt
    from mistral_cli.text.tokenizer import load_tokenizer
    from mistral_cli.weights.architecture import stated_positions

    possible = stated_positions(path) or settings.context or USUAL_CONTEXT
    most = min(settings.context or USUAL_CONTEXT, possible)
    texts = [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
    if sum(map(len, texts)) < most:  # a token is a character or more, nearly always
        return
    tokenizer = load_tokenizer(path, template=settings.chat_template)
    count, is_bound = sum(map(tokenizer.fewest_tokens, texts)), True
    if count < most and not tokenizer.is_base:
        count, is_bound = len(encode_prompt(tokenizer, prompt).ids), False
    if count >= most:
        raise ContextError.of_prompt(count, most, most=possible, at_least=is_bound)


def _choose(path: Path, settings: Settings, console: Console) -> str:
    from mistral_cli.backends.choice import choose_backend

    choice = choose_backend(path, settings.backend)
    if choice.notice:
        console.notice(choice.notice)
    return choice.backend


def _load(
    name: str, path: Path, settings: Settings, which: str, console: Console, *, adapters: Sequence[AdapterChoice]
) -> Backend:
    import torch

    from mistral_cli.backends.choice import load_backend
    from mistral_cli.commands.cache import open_cache

    ENDING.check()
    torch.set_num_threads(settings.threads or granted_cores())
    backend = load_backend(
        which,
        path,
        name=name,
        dtype=settings.dtype,
        device=settings.device,
        context=settings.context,
        template=settings.chat_template,
        quantize=settings.quantize,
        kv=settings.kv,
        batch=settings.batch if settings.lines else None,
        adapters=adapters,
        compile=settings.compile,
        offload=places().cache / "offload",
        cache=open_cache(settings, console),
        progress=ByteBar(console=console, label=f"Loading {name}").update,
    )
    console.clear_status()
    for adapter in backend.info.adapters:
        if said := doubt(adapter, name, str(path)):
            console.notice(said)
    ENDING.check()
    torch.set_num_threads(choose_threads(settings.threads, backend.info.parameters))
    return backend


def sampling_params(settings: Settings, defaults: Mapping[str, object]) -> SamplingParams:
    """Return the parameters of an answer: what the user set, else the model's own ``defaults``, else the program's.

    Raises:
        UsageError: a value out of its range.
    """
    own = {name: value for name, value in defaults.items() if name in SAMPLING}
    return SamplingParams().with_values({**own, **settings.given(*SAMPLING)})
