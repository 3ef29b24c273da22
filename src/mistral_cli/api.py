"""The Python API: ``llm = mistral_cli.load(MODEL)``, then ``llm.generate``, ``llm.stream``, ``llm.model``.

The same models, settings and defaults as the command line has. Prints nothing and downloads nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict, overload

from mistral_cli.adapting import read_choice
from mistral_cli.backends.choice import choose_backend, load_backend
from mistral_cli.backends.many import Request, stream_many
from mistral_cli.contract import Done, Message, SamplingParams
from mistral_cli.errors import MistralError, UsageError
from mistral_cli.settings.load import load_settings
from mistral_cli.settings.options import SAMPLING
from mistral_cli.settings.places import places
from mistral_cli.text.messages import build_conversation
from mistral_cli.weights.hub import default_model, full_name, resolve
from mistral_cli.weights.quantized_cache import FOLDER, QuantizedCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Unpack

    from mistral_cli.backends.hf import HfBackend
    from mistral_cli.backends.many import Reply
    from mistral_cli.backends.native import NativeBackend
    from mistral_cli.contract import Cancel, Event, ModelInfo, Order, Prompt, Tool
    from mistral_cli.model.transformer import Mistral
    from mistral_cli.text.tokenizer import Tokenizer

MessageLike = Message | Mapping[str, object]
"""A message, or a mapping with ``role``, ``content`` and, where wanted, the other fields but ``ids``."""


class SamplingOptions(TypedDict, total=False):
    """What ``generate`` takes by name: the fields of ``SamplingParams``."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repetition_penalty: float
    presence_penalty: float
    frequency_penalty: float
    logit_bias: Mapping[int, float]
    seed: int | None
    max_tokens: int | None
    stop: str | Sequence[str]
    order: Order
    logprobs: int | None
    watchdog: bool


def load(  # noqa: PLR0913 (the options of a model)
    model: str | None = None,
    *,
    backend: str | None = None,
    dtype: str | None = None,
    device: str | None = None,
    revision: str | None = None,
    context: int | None = None,
    quantize: str | None = None,
    kv: str | None = None,
    batch: int | None = None,
    compile: bool | None = None,  # noqa: A002 (as the flag)
    adapter: str | Sequence[str] | None = None,
) -> LLM:
    """Load a model.

    What is not given is taken from ``MISTRAL_CLI_*``, then from the config file. Where nothing names a model it is
    ``mistralai/Mistral-7B-Instruct-v0.3`` if that is on the disk, else the small built-in guide; ``llm.info`` tells.

    Args:
        model: a folder, a hub id that was fetched before (``mistral pull ID``), its short name (``7b``), or
            ``builtin``.
        backend: native, our own engine, or hf, transformers; by default our own for Mistral and Mixtral, else hf.
        dtype: bfloat16, float16, float32 or float64; by default what the checkpoint has.
        device: cpu, cuda, cuda:N or mps; by default the fastest there is.
        revision: a branch, tag or commit of a hub id.
        context: tokens that fit, prompt and answer together; by default the least of what the model was made for,
            8,192 and what fits in the free memory.
        quantize: none, nf4, int8 or int4: hold the weights of the linear layers in 4 or 8 bits, quantized as they are
            read and kept on the disk for the next time (``mistral cache``); by default nf4 for a model of 3 billion
            parameters or more that is not quantized already, else none.
        kv: none or int8: hold keys and values in 8 bits, for twice the context in the same memory; by default none.
        batch: prompts of a list that are answered side by side, each with a cache of its own; by default 8, or as many
            as fit.
        compile: compile the layers with torch for steps of one token. Costs seconds before the first token; on a
            CPU it may gain nothing (``docs/performance.md``).
        adapter: LoRA adapters on top of the model: a folder or a hub id each, and how strong (``PATH:0.5``).
            ``llm.backend.adapters`` loads, weighs and takes off others later.

    Raises:
        ModelNotFoundError: no such model, or no such adapter, on this disk.
        CheckpointError: its files are damaged, incomplete or not ours to read; an adapter for another model.
        OutOfMemoryError: it does not fit.
        UsageError: a value that cannot be, here or in the settings.
    """
    which = {"model": model, "revision": revision, "batch": batch, "compile": compile, "adapter": adapter}
    how = {"backend": backend, "dtype": dtype, "device": device, "context": context, "quantize": quantize, "kv": kv}
    settings = load_settings({**which, **how})
    for text in settings.warnings:
        warnings.warn(text, stacklevel=2)
    name = full_name(settings.model or default_model())
    path = resolve(name, revision=settings.revision)
    loaded = load_backend(
        choose_backend(path, settings.backend).backend,
        path,
        name=name,
        dtype=settings.dtype,
        device=settings.device,
        context=settings.context,
        template=settings.chat_template,
        quantize=settings.quantize,
        kv=settings.kv,
        batch=settings.batch,
        adapters=tuple(map(read_choice, settings.adapter)),
        compile=settings.compile,
        offload=places().cache / "offload",
        cache=QuantizedCache(folder=places().cache / FOLDER, limit=settings.cache_limit, warn=warnings.warn),
    )
    return LLM(loaded, SamplingParams().with_values({**loaded.defaults, **settings.given(*SAMPLING)}))


class LLM:
    """A loaded model. Keeps the cache of the last conversation; one answer at a time.

    Args:
        backend: what answers; also where raw text goes in: ``llm.backend.stream(text, params)``.
        defaults: the parameters that count where none are given.
    """

    def __init__(self, backend: NativeBackend | HfBackend, defaults: SamplingParams) -> None:
        self.backend = backend
        self.defaults = defaults

    @property
    def info(self) -> ModelInfo:
        """Name, parameters, dtype, device, context, tokenizer."""
        return self.backend.info

    @property
    def tokenizer(self) -> Tokenizer:
        """Ids to text and back."""
        return self.backend.tokenizer

    @property
    def model(self) -> Mistral:
        """The decoder: ``logits, cache = llm.model(tokens)`` with tokens (B, T) int64, logits (B, T, V).

        With ``backend="hf"`` it is transformers' model instead, and is called as that one is.
        """
        model: Mistral = self.backend.engine.model
        return model

    @overload
    def generate(
        self, prompt: list[str] | Sequence[Sequence[MessageLike]], **options: Unpack[SamplingOptions]
    ) -> list[str]: ...

    @overload
    def generate(self, prompt: str | Sequence[MessageLike], **options: Unpack[SamplingOptions]) -> str: ...

    def generate(
        self,
        prompt: str | list[str] | Sequence[MessageLike] | Sequence[Sequence[MessageLike]],
        **options: Unpack[SamplingOptions],
    ) -> str | list[str]:
        """Answer, and return the whole text.

        Prompts of a list are answered side by side, several times faster than one after the other, and the texts come
        in the order of the list. What each is answered does not depend on the others (``engine.batch`` says how exactly
        where the weights are not quantized); a ``seed`` is each one's own. The first one that fails ends it: see
        ``stream_many`` for the others.

        Args:
            prompt: one text (a user's message; for a base model the text to go on from) or conversation, or a list of
                texts or of conversations, each of them answered by itself.
            **options: fields of ``SamplingParams``; what is not given is as ``defaults`` has it.

        Raises:
            UsageError: a value out of its range, or a conversation that the chat format cannot express.
            ContextError: the prompt does not fit.
            MistralError: the logits are not finite.
        """
        params = self._params(options)
        if isinstance(prompt, str) or not _is_list_of_prompts(prompt):
            return self._answer(prompt, params)  # type: ignore[arg-type]  # whatever it is, ``stream`` refuses it
        texts = [""] * len(prompt)
        for index, event in self.stream_many(prompt, params):  # type: ignore[arg-type]
            if isinstance(event, MistralError):
                raise event
            if isinstance(event, Done):
                texts[index] = event.text
        return texts

    def stream(
        self,
        messages: str | Sequence[MessageLike],
        params: SamplingParams | None = None,
        *,
        tools: Sequence[Tool] = (),
        cancel: Cancel | None = None,
    ) -> Iterator[Event]:
        """Answer, event by event: progress, ``TextDelta`` for every token, ``Done`` at the end.

        Args:
            messages: one text or a conversation, as in ``generate``.
            params: how to draw; None: as ``defaults`` has it.
            tools: functions that the model may call.
            cancel: a flag that ends the answer when it is set, such as a ``threading.Event``.

        Raises:
            UsageError: a conversation that the chat format cannot express.
            ContextError: the prompt does not fit.
            MistralError: the logits are not finite.
        """
        return self.backend.stream(self._prompt(messages), params or self.defaults, tools=tools, cancel=cancel)

    def stream_many(
        self,
        prompts: Iterable[str | Sequence[MessageLike]],
        params: SamplingParams | Iterable[SamplingParams] | None = None,
        *,
        cancel: Cancel | None = None,
    ) -> Iterator[Reply]:
        """Answer many prompts side by side; yield the number of each, from 0, with each of its events, as they come.

        The last event of a prompt is ``Done``, or the error that ended it, which does not touch the others.

        Args:
            prompts: texts or conversations, as in ``generate``; taken one by one, so that they may be endless.
            params: how to draw: for all, or one for each; None: as ``defaults`` has it.
            cancel: a flag that ends all answers that are being made.

        Raises:
            UsageError: a conversation with roles or fields that there are not.
            OutOfMemoryError: no memory for what is computed; this ends all of them.
        """
        if params is None or isinstance(params, SamplingParams):
            pairs: Iterable[tuple[str | Sequence[MessageLike], SamplingParams]]
            pairs = ((prompt, params or self.defaults) for prompt in prompts)
        else:
            pairs = zip(prompts, params, strict=True)
        asked = (Request(prompt=self._prompt(prompt), params=own, cancel=cancel) for prompt, own in pairs)
        return stream_many(self.backend, asked)

    def _params(self, options: SamplingOptions) -> SamplingParams:
        values: dict[str, object] = {**options}
        unknown = sorted(values.keys() - SamplingOptions.__annotations__.keys())
        if unknown:
            raise UsageError(f"generate has no option {unknown[0]!r}.", f"It has {', '.join(SAMPLING)}.")
        if "stop" in options:
            values["stop"] = (options["stop"],) if isinstance(options["stop"], str) else tuple(options["stop"])
        return self.defaults.with_values(values)

    def _answer(self, prompt: str | Sequence[MessageLike], params: SamplingParams) -> str:
        for event in self.stream(prompt, params):
            if isinstance(event, Done):
                return event.text
        raise MistralError("The answer stopped without an end.", "This is a defect of the back end.")

    def _prompt(self, messages: str | Sequence[MessageLike]) -> Prompt:
        if not isinstance(messages, str):
            return _conversation(messages)
        return messages if self.info.is_base else (Message(role="user", content=messages),)


def _is_list_of_prompts(prompt: Sequence[object]) -> bool:
    """Tell a list of texts or of conversations from one conversation; an empty list is the former."""
    return all(isinstance(one, str) for one in prompt) or all(isinstance(one, (list, tuple)) for one in prompt)


def _conversation(messages: Sequence[MessageLike]) -> tuple[Message, ...]:
    """Return messages as they are, and mappings as messages; raises a UsageError for anything else."""
    others = [message for message in messages if not isinstance(message, Message)]
    built = iter(build_conversation([dict(row) if isinstance(row, Mapping) else row for row in others]).messages)
    return tuple(message if isinstance(message, Message) else next(built) for message in messages)
