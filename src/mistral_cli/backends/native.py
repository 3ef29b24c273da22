"""Our own engine joined to text: messages in, text out. Knows no terminal and no command.

What is wrong with a model is found in the order of what finding out costs: the device, the config, the tokenizer, the
memory, and only then the weights.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mistral_cli.backends.answer import AnswerText, open_answer
from mistral_cli.backends.generation_config import read_generation_config
from mistral_cli.backends.many import Request
from mistral_cli.backends.native_adapters import NativeAdapters
from mistral_cli.contract import ModelInfo, TokensDone
from mistral_cli.engine.batch import TokenRequest
from mistral_cli.engine.compiled import check_compile, compiled_steps
from mistral_cli.engine.device import choose_device
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.engine.plan import Plan, plan_context
from mistral_cli.engine.plan_rows import ROWS, context_of_rows, plan_rows
from mistral_cli.errors import MistralError, UsageError
from mistral_cli.model.cache import KINDS, PLAIN
from mistral_cli.text.template import encode_prompt, encode_words
from mistral_cli.text.tokenizer import check_vocabulary, load_tokenizer
from mistral_cli.weights.checkpoint import DTYPES, load_model
from mistral_cli.weights.config import read_args
from mistral_cli.weights.default_scheme import default_scheme
from mistral_cli.weights.files import find_files, read_tensors
from mistral_cli.weights.formats import main_dtype
from mistral_cli.weights.mapped_tensors import STORED
from mistral_cli.weights.methods import NONE, choose_method, method_reasons
from mistral_cli.weights.prequantized import check_asked, stated_scheme
from mistral_cli.weights.taken_over import held_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mistral_cli.backends.many import Reply
    from mistral_cli.contract import Cancel, Event, Prompt, SamplingParams, Tool
    from mistral_cli.model.args import ModelArgs
    from mistral_cli.text.tokenizer import Tokenizer
    from mistral_cli.weights.files import CheckpointFiles
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
        cache: where quantized weights are kept for the next start; None: nowhere.
        progress: called after each tensor that is read and quantized with the bytes read and the bytes of all.

    Raises:
        UsageError: a device, dtype, context, template, quantization or kind of cache that cannot be.
        ModelNotFoundError: nothing at ``path``.
        CheckpointError: files that are damaged, incomplete or not ours to read.
        OutOfMemoryError: it does not fit; found before anything is loaded.
    """
    folder, where = Path(path), choose_device(device)
    choose_method(quantize or NONE, where)
    if kv not in KINDS:
        raise UsageError(f"--kv is {kv!a:.40}, but must be {' or '.join(KINDS)}.")
    files = find_files(folder)
    args, number = read_args(files.config), choose_dtype(dtype, files, where)
    own = stated_scheme(files.config)
    if own:
        check_asked(quantize, own)
    if compile:
        check_compile(args, where, kv)
    scheme = own or quantize or _default_scheme(args, files, where)
    tokenizer = load_tokenizer(folder, template=template)
    check_vocabulary(tokenizer, args.vocab_size)
    config = read_generation_config(folder)
    held = held_bytes(files, args, number, where) if own else None
    plan = Plan(args=args, dtype=number, device=where, quantize=scheme, kv=kv, held=held)
    tokens = plan_context(plan, context)
    if batch and context is None:
        tokens = context_of_rows(plan, tokens, batch)
    rows = plan_rows(plan, tokens, batch)
    model = load_model(folder, number, where, progress, quantize=NONE if own else scheme, cache=cache)
    model.kv = kv
    engine = NativeEngine(
        model,
        context=tokens,
        eos_ids={tokenizer.eos_id, *config.eos_ids},
        control_ids=tokenizer.control_ids,
        steps=compiled_steps(model) if compile else None,
    )
    info = ModelInfo(
        name=name,
        path=str(folder),
        parameters=args.parameters,
        dtype=str(number).removeprefix("torch."),
        device=str(where),
        context=tokens,
        tokenizer=tokenizer.version,
        is_base=tokenizer.is_base,
        quantization=scheme,
        kv=kv,
    )
    return NativeBackend(engine=engine, tokenizer=tokenizer, info=info, defaults=config.sampling, rows=rows)


def _default_scheme(args: ModelArgs, files: CheckpointFiles, device: torch.device) -> str:
    """Return what a model is quantized to where nobody said: nothing, where nothing computes it on this device."""
    scheme = default_scheme(args, files.config)
    return scheme if any(reason is None for _, reason in method_reasons(scheme, device)) else NONE


def choose_dtype(asked: str | None, files: CheckpointFiles, device: torch.device) -> torch.dtype:
    """Return the dtype to compute in: the one asked for, else that of most bytes in the files."""
    if asked is not None and asked not in DTYPES:
        raise UsageError(f"--dtype is {asked!a:.40}, but must be one of {', '.join(DTYPES)}.")
    if asked == "float64" and device.type == "mps":
        raise UsageError("--dtype float64 cannot be used: Apple's GPUs do not compute in it.", "Take float32.")
    if asked is not None:
        return DTYPES[asked]
    # a type that is not in the table is refused, by name, when the weights are read
    return STORED.get(main_dtype(read_tensors(files).values()), torch.bfloat16)


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

    def __post_init__(self) -> None:
        """Make the shelf of adapters, empty."""
        self.adapters = NativeAdapters(self.engine)

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

    def _prepare(self, request: Request) -> tuple[tuple[int, ...], AnswerText]:
        most = self.engine.model.args.max_position_embeddings
        return open_answer(self.tokenizer, request, context=self.engine.context, most=most)
