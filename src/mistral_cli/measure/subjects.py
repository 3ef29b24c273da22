"""What is measured: an engine that never ends an answer by itself, and the bytes that one of its steps reads.

Made of a loaded back end, or of a shape alone. Measures nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.backends.hf import HfBackend
from mistral_cli.backends.native import NativeBackend
from mistral_cli.engine.device import choose_device
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.errors import UsageError
from mistral_cli.measure.random_in_memory import random_in_memory
from mistral_cli.measure.weight_traffic import foreign_weight_bytes, weight_bytes_per_token
from mistral_cli.model.cache import bytes_per_token
from mistral_cli.weights.checkpoint import DTYPES
from mistral_cli.weights.default_scheme import DEFAULT, SMALL
from mistral_cli.weights.methods import choose_method

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from mistral_cli.backends.hf_engine import HfEngine
    from mistral_cli.contract import Backend, Engine
    from mistral_cli.model.args import ModelArgs
    from mistral_cli.model.transformer import Mistral

_TOLD = ("name", "parameters", "backend", "dtype", "device", "quantization", "kv", "context")
"""What a report says of a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model that is ready to be measured."""

    engine: Engine
    about: Mapping[str, object]
    """What the report says of it."""
    vocab_size: int
    device: torch.device
    weight_bytes: int
    """Bytes of weights that one decode step reads."""
    kv_bytes: int
    """Bytes of keys and values that it reads for each token in the cache; 0 where that is not known."""


def subject_of(backend: Backend) -> Subject:
    """Return a loaded model as a subject.

    Raises:
        UsageError: it is run by an engine that is not on this machine.
    """
    about = {name: getattr(backend.info, name) for name in _TOLD}
    if isinstance(backend, HfBackend):
        return _foreign(backend.engine, about)
    return _subject(native(backend).engine.model, context=backend.info.context, about=about)


def _foreign(engine: HfEngine, about: Mapping[str, object]) -> Subject:
    from mistral_cli.backends.hf_engine import HfEngine  # noqa: PLC0415 (imports transformers, which may be absent)

    embedding = engine.model.get_input_embeddings()
    return Subject(
        engine=HfEngine(engine.model, context=engine.context, most=engine.most, eos_ids=()),
        about=about,
        vocab_size=engine.vocab_size,
        device=embedding.weight.device,
        weight_bytes=foreign_weight_bytes(engine.model, embedding),
        kv_bytes=0,
    )


def native(backend: Backend) -> NativeBackend:
    """Return a back end that is ours.

    Raises:
        UsageError: it is another.
    """
    if isinstance(backend, NativeBackend):
        return backend
    raise UsageError(f"{backend.info.name} is not run by our own engine, and only that can be looked into.")


def random_subject(  # noqa: PLR0913 (the options of a model)
    name: str,
    args: ModelArgs,
    *,
    dtype: str,
    device: str | None,
    quantize: str | None,
    kv: str,
    context: int,
    notify: Callable[[str], None],
) -> Subject:
    """Return a model of this shape and random weights, in memory; the options mean what they do in ``load_native``.

    Raises:
        UsageError: a device or a quantization that cannot be.
        OutOfMemoryError: there is no room for it.
    """
    where, number = choose_device(device), DTYPES[dtype]
    scheme = quantize or ("none" if args.parameters < SMALL else DEFAULT)
    model = random_in_memory(
        args,
        dtype=number,
        device=where,
        method=choose_method(scheme, where),
        progress=lambda done, total: notify(f"Making {name}: {done:,} of {total:,} tensors"),
    )
    model.kv = kv
    facts = (name, args.parameters, "native", dtype, str(where), scheme, kv, context)
    return _subject(model, context=context, about=dict(zip(_TOLD, facts, strict=True)))


def _subject(model: Mistral, *, context: int, about: Mapping[str, object]) -> Subject:
    return Subject(
        engine=NativeEngine(model, context=context, eos_ids=()),
        about=about,
        vocab_size=model.args.vocab_size,
        device=model.device,
        weight_bytes=weight_bytes_per_token(model),
        kv_bytes=bytes_per_token(model.args, model.dtype, model.kv),
    )
