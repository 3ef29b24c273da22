"""Which back end loads a model, and why. Imports the one that does, and no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError
from mistral_cli.weights.architecture import foreign_architecture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mistral_cli.adapting import AdapterChoice
    from mistral_cli.backends.hf import HfBackend
    from mistral_cli.backends.native import NativeBackend
    from mistral_cli.text.tokenizer import Tokenizer
    from mistral_cli.weights.quantized_cache import QuantizedCache

NATIVE, HF = "native", "hf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Who loads a model."""

    backend: str
    """``NATIVE`` or ``HF``."""
    notice: str = ""
    """What the user should be told about it, one line; empty where it was asked for or is the usual."""


def choose_backend(path: Path, asked: str | None) -> Choice:
    """Return who loads the model in the folder ``path``: whoever was asked for, else us where we can compute it.

    Raises:
        UsageError: no back end of that name.
        ModelNotFoundError, CheckpointError: as ``foreign_architecture`` does.
    """
    if asked is not None:
        if asked not in (NATIVE, HF):
            raise UsageError(f"--backend is {asked!a:.40}, but must be {NATIVE} or {HF}.")
        return Choice(backend=asked)
    architecture = foreign_architecture(path)
    if architecture is None:
        return Choice(backend=NATIVE)
    return Choice(
        backend=HF, notice=f"{architecture} is neither Mistral nor Mixtral: transformers runs it (backend hf)."
    )


def check_backend(  # noqa: PLR0913 (the options of a model)
    backend: str,
    path: Path,
    *,
    dtype: str | None,
    device: str | None,
    context: int | None,
    template: str | None,
    quantize: str | None,
    kv: str,
    compile: bool = False,  # noqa: A002 (as the flag)
) -> Tokenizer:
    """Check that ``load_backend`` would load a model in the place of the one that this process holds; read no weight.

    Of what transformers would load only the files and the tokenizer are looked at: it tells the rest as it loads.

    Raises:
        MistralError: what ``load_backend`` would raise.
    """
    if backend == NATIVE:
        from mistral_cli.backends.native_plan import check_in_place_of_another, plan_native  # noqa: PLC0415

        found = plan_native(
            path, dtype=dtype, device=device, template=template, quantize=quantize, kv=kv, compile=compile
        )
        check_in_place_of_another(found, context)
        return found.tokenizer
    from mistral_cli.backends.hf_model import check_files  # noqa: PLC0415
    from mistral_cli.text.tokenizer import load_tokenizer  # noqa: PLC0415

    _refuse_our_own(kv, compile=compile)
    check_files(path)
    return load_tokenizer(path, template=template)


def _refuse_our_own(kv: str, *, compile: bool) -> None:  # noqa: A002 (as the flag)
    if kv != "none":
        raise UsageError(f"--kv {kv} cannot be used with --backend hf, which keeps keys and values as they are.")
    if compile:
        raise UsageError("--compile cannot be used with --backend hf.", "Leave it out.")


def load_backend(  # noqa: PLR0913 (the options of a model)
    backend: str,
    path: Path,
    *,
    name: str,
    dtype: str | None,
    device: str | None,
    context: int | None,
    template: str | None,
    quantize: str | None,
    kv: str,
    offload: Path,
    batch: int | None = None,
    adapters: Sequence[AdapterChoice] = (),
    compile: bool = False,  # noqa: A002 (as the flag)
    cache: QuantizedCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NativeBackend | HfBackend:
    """Load the model in the folder ``path`` as ``load_native`` or ``load_hf`` does; raises what they do.

    The ``adapters`` are looked at first, as far as they can be without the model's weights.

    Raises:
        UsageError: an option that this back end does not have, or one adapter twice.
        ModelNotFoundError, CheckpointError: an adapter that is not there, not sound, or for another model.
    """
    if backend == NATIVE:
        from mistral_cli.backends.native import load_native  # noqa: PLC0415 (one of the two is enough)
        from mistral_cli.weights.adapters.fitting import check_adapters, parameters_of  # noqa: PLC0415

        folders = check_adapters(path, [choice.path for choice in adapters])
        loaded = load_native(
            path,
            name=name,
            dtype=dtype,
            device=device,
            context=context,
            template=template,
            quantize=quantize,
            kv=kv,
            batch=batch,
            compile=compile,
            adapter_parameters=parameters_of(folders),
            cache=cache,
            progress=progress,
        )
        for folder, choice in zip(folders, adapters, strict=True):
            loaded.adapters.load(folder, choice.strength)
        return loaded
    _refuse_our_own(kv, compile=compile)
    from mistral_cli.backends.hf import load_hf  # noqa: PLC0415
    from mistral_cli.weights.adapters.fitting import find_adapters, parameters_of  # noqa: PLC0415

    folders = find_adapters([choice.path for choice in adapters])
    by_transformers = load_hf(
        path,
        name=name,
        dtype=dtype,
        device=device,
        context=context,
        template=template,
        quantize=quantize,
        adapter_parameters=parameters_of(folders),
        offload=offload,
    )
    for folder, choice in zip(folders, adapters, strict=True):
        by_transformers.adapters.load(folder, choice.strength)
    return by_transformers
