"""Our own engine joined to text: messages in, text out. Knows no terminal and no command."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mistral_cli.backends.answer import AnswerText, open_answer
from mistral_cli.backends.many import Request
from mistral_cli.backends.native_adapters import NativeAdapters
from mistral_cli.backends.native_caches import NativeCaches, identity_of
from mistral_cli.backends.native_plan import plan_native
from mistral_cli.contract import ModelInfo, TokensDone
from mistral_cli.engine.batch import TokenRequest
from mistral_cli.engine.compiled import compiled_steps
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.engine.plan import plan_context
from mistral_cli.engine.plan_rows import ROWS, context_of_rows, plan_rows
from mistral_cli.errors import MistralError
from mistral_cli.model.cache import PLAIN
from mistral_cli.text.template import encode_prompt, encode_words
from mistral_cli.weights.checkpoint import load_model
from mistral_cli.weights.methods import NONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mistral_cli.adapting import AdapterInfo
    from mistral_cli.backends.many import Reply
    from mistral_cli.contract import Cancel, Event, Prompt, SamplingParams, Tool
    from mistral_cli.text.tokenizer import Tokenizer
    from mistral_cli.weights.quantized_cache import QuantizedCache


def load_native(  # noqa: PLR0913 (the options of a model)
    path: str | Path,
    *,
    name: str,
    dtype: str | None = None,
    device: str | None = None,
    context: int | None = None,
    template: str | None = None,
    quantize: str | None = None,
    kv: str = PLAIN,
    batch: int | None = None,
    compile: bool = False,  # noqa: A002 (as the flag)
    adapter_parameters: int = 0,
    cache: QuantizedCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NativeBackend:
    """Load the model in the folder ``path``.

    Args:
        path: a folder in Hugging Face's format or Mistral's own.
        name: what the user calls it.
        dtype: bfloat16, float16, float32 or float64; by default what the checkpoint has.
        device: cpu, cuda, cuda:N or mps; by default the fastest there is.
        context: tokens that fit, prompt and answer together; by default see ``plan_context``.
        template: the version of the chat format to write, whatever the files say.
        quantize: none, nf4, int8 or int4: how the linear layers hold their weights; all else is in ``dtype``. By
            default see ``default_scheme``, where something computes that on the device.
        kv: none or int8: how the cache holds keys and values.
        batch: answers that ``stream_many`` makes side by side, each with a cache of its own; by default see
            ``plan_rows``.
        compile: let torch compile the layers for steps of one token, see ``engine.compiled``.
        adapter_parameters: numbers in the adapters that will be put on next: room is left for them.
        cache: where quantized weights are kept for the next start; None: nowhere.
        progress: called after each tensor that is read and quantized with the bytes read and the bytes of all.

    Raises:
        UsageError: a device, dtype, context, template, quantization or kind of cache that cannot be.
        ModelNotFoundError: nothing at ``path``.
        CheckpointError: files that are damaged, incomplete or not ours to read.
        OutOfMemoryError: it does not fit; found before anything is loaded.
    """
    found = plan_native(
        path,
        dtype=dtype,
        device=device,
        template=template,
        quantize=quantize,
        kv=kv,
        compile=compile,
        adapter_parameters=adapter_parameters,
    )
    plan, tokenizer = found.plan, found.tokenizer
    tokens = plan_context(plan, context)
    if batch and context is None:
        tokens = context_of_rows(plan, tokens, batch)
    rows = plan_rows(plan, tokens, batch)
    scheme, identity = NONE if found.own else plan.quantize, identity_of(found)
    model = load_model(found.folder, plan.dtype, plan.device, progress, quantize=scheme, cache=cache)
    model.kv = kv
    engine = NativeEngine(
        model,
        context=tokens,
        eos_ids={tokenizer.eos_id, *found.config.eos_ids},
        control_ids=tokenizer.control_ids,
        steps=compiled_steps(model) if compile else None,
    )
    info = ModelInfo(
        name=name,
        path=str(found.folder),
        parameters=plan.args.parameters,
        dtype=str(plan.dtype).removeprefix("torch."),
        device=str(plan.device),
        context=tokens,
        tokenizer=tokenizer.version,
        is_base=tokenizer.is_base,
        quantization=plan.quantize,
        kv=kv,
    )
    backend = NativeBackend(engine=engine, tokenizer=tokenizer, info=info, defaults=found.config.sampling, rows=rows)
    backend.caches = NativeCaches(engine=engine, adapters=backend.adapters, identity=identity, folder=found.folder)
    return backend


@dataclass(slots=True, kw_only=True)
class NativeBackend:
    """Our engine and a tokenizer. Keeps the cache of the last conversation; one answer at a time."""

    engine: NativeEngine
    tokenizer: Tokenizer
    info: ModelInfo
    defaults: Mapping[str, object]
    """The sampling parameters that the model's own files ask for."""
    rows: int = ROWS
    """Answers side by side at most: their caches fit into the memory."""
    adapters: NativeAdapters = field(init=False)
    """What is on the model beside its own weights."""
    caches: NativeCaches | None = None
    """Keeps what was computed on the disk; None where nobody knows the model's files."""

    def __post_init__(self) -> None:
        """Make the shelf of adapters, empty."""
        self.adapters = NativeAdapters(self.engine, self._tell_adapters)

    def count(self, prompt: Prompt, tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens the prompt takes, control tokens included.

        Raises:
            UsageError: the chat format cannot express it.
        """
        return len(self.encode(prompt, tools))

    def encode(self, prompt: Prompt, tools: Sequence[Tool] = ()) -> tuple[int, ...]:
        """Return the ids of a prompt: BOS and the text for a str, the chat format for messages.

        Raises:
            UsageError: the chat format cannot express it.
        """
        return encode_prompt(self.tokenizer, prompt, tools).ids

    def encode_words(self, text: str, *, begins: bool) -> tuple[int, ...]:
        """Return the ids of words that are put into an answer, or at its beginning."""
        return encode_words(self.tokenizer, text, begins=begins)

    def stream(
        self, prompt: Prompt, params: SamplingParams, *, tools: Sequence[Tool] = (), cancel: Cancel | None = None
    ) -> Iterator[Event]:
        """Answer ``prompt``; the last event is ``Done``.

        Where the prompt is text or ends with an assistant's ``prefix``, the answer goes on from it: it does not repeat
        it, and its first space is kept.

        Raises:
            ContextError: the prompt does not fit; raised before anything is computed.
            UsageError: a prompt that the model's chat format cannot express.
            MistralError: the logits are not finite.
        """
        request = Request(prompt=prompt, params=params, tools=tools, cancel=cancel)
        ids, answer = self._prepare(request)
        return answer.run(self.engine.generate(ids, params, cancel=answer.stopper))

    def stream_many(self, requests: Iterable[Request | None], *, rows: int | None = None) -> Iterator[Reply]:
        """Answer many prompts, up to ``rows`` side by side (None: as planned); see ``many.stream_many``.

        What each is answered does not depend on the others; ``engine.batch`` says how exactly.

        Raises:
            OutOfMemoryError: no memory for what is computed; this ends all of them.
        """
        answers: dict[int, AnswerText] = {}
        with closing(self.engine.generate_many(self._encoded(requests, answers), rows=rows or self.rows)) as events:
            for index, event in events:
                if isinstance(event, MistralError):
                    yield index, event
                else:
                    yield from ((index, told) for told in answers[index].take(event))
                if isinstance(event, MistralError | TokensDone):
                    answers.pop(index, None)

    def _encoded(
        self, requests: Iterable[Request | None], answers: dict[int, AnswerText]
    ) -> Iterator[TokenRequest | MistralError | None]:
        """Yield requests as ids, and put what makes text of their answers into ``answers``."""
        index = 0
        for request in requests:
            if request is None:
                yield None
                continue
            try:
                ids, answers[index] = self._prepare(request)
                yield TokenRequest(prompt=ids, params=request.params, cancel=answers[index].stopper)
            except MistralError as error:
                yield error
            index += 1

    def _tell_adapters(self, attached: tuple[AdapterInfo, ...]) -> None:
        self.info = replace(self.info, adapters=attached)

    def _prepare(self, request: Request) -> tuple[tuple[int, ...], AnswerText]:
        most = self.engine.model.args.max_position_embeddings
        return open_answer(self.tokenizer, request, context=self.engine.context, most=most)
