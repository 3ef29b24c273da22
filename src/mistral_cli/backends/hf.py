"""Any architecture that transformers knows, as a back end: its model, our loop, our templates. Knows no terminal.

What is wrong with a model is found in the order of what finding out costs: the flags, the files, the tokenizer, the
config, the memory, and only then the weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mistral_cli.backends import hf_model, hf_plan
from mistral_cli.backends.answer import open_answer
from mistral_cli.backends.generation_config import read_generation_config
from mistral_cli.backends.hf_adapters import HfAdapters
from mistral_cli.backends.many import Request
from mistral_cli.contract import ModelInfo
from mistral_cli.engine.device import choose_device
from mistral_cli.errors import UsageError
from mistral_cli.text.template import encode_prompt, encode_words
from mistral_cli.text.tokenizer import check_vocabulary, load_tokenizer
from mistral_cli.weights.checkpoint import DTYPES
from mistral_cli.weights.default_scheme import DEFAULT, SMALL
from mistral_cli.weights.formats import main_dtype
from mistral_cli.weights.mapped_tensors import STORED
from mistral_cli.weights.prequantized import check_asked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mistral_cli.adapting import AdapterInfo
    from mistral_cli.backends.hf_engine import HfEngine
    from mistral_cli.contract import Cancel, Event, Prompt, SamplingParams, Tool
    from mistral_cli.text.tokenizer import Tokenizer
    from mistral_cli.weights.safetensors_header import TensorInfo

QUANTIZATIONS = ("none", "nf4", "int8")
"""What bitsandbytes makes of the linear layers while transformers loads them."""

_ADAPTER_BYTES = 4
"""Bytes of a number of an adapter at most: peft holds it in float32 beside a quantized layer."""


def load_hf(  # noqa: PLR0913 (the options of a model)
    path: str | Path,
    *,
    name: str,
    dtype: str | None = None,
    device: str | None = None,
    context: int | None = None,
    template: str | None = None,
    quantize: str | None = None,
    adapter_parameters: int = 0,
    offload: Path | None = None,
) -> HfBackend:
    """Load the model in the folder ``path`` by transformers.

    Args:
        path: a folder in Hugging Face's format, with safetensors files.
        name: what the user calls it.
        dtype: bfloat16, float16, float32 or float64; by default what the checkpoint has.
        device: cpu, cuda, cuda:N or mps; ``auto`` spreads it over all GPUs, then the CPU, then the disk. By default
            that where there is a GPU, else the CPU.
        context: tokens that fit, prompt and answer together; by default 8,192, or as many as fit.
        template: the version of Mistral's chat format to write, whatever the files say.
        quantize: none, nf4 or int8, by bitsandbytes; by default nf4 from 3,000,000,000 parameters on. A checkpoint that
            is quantized already is loaded as it is.
        adapter_parameters: numbers in the adapters that will be put on next: room is left for them.
        offload: a folder for weights that do not fit into any memory and are kept in another form than the files'.

    Raises:
        UsageError: a device, dtype, context, template or quantization that cannot be; a package that is not installed.
        ModelNotFoundError: nothing at ``path``.
        CheckpointError: files that are damaged, incomplete or not ours to read; code of its own that would have to run.
        OutOfMemoryError: it does not fit; found before anything is loaded.
    """
    folder, where = Path(path), _choose_device(device)
    _check_names(dtype, quantize)
    hf_model.require("transformers", "accelerate")
    tensors = hf_model.check_files(folder)
    tokenizer, own = load_tokenizer(folder, template=template), read_generation_config(folder)
    config = hf_model.read_config(folder)
    skeleton = hf_model.build_skeleton(config, folder, tensors)
    check_vocabulary(tokenizer, skeleton.get_input_embeddings().weight.shape[0])
    scheme = _choose_scheme(quantize, config, hf_plan.parameters(skeleton))
    number = _choose_dtype(dtype, scheme, tensors, config)
    weights = _weight_bytes(skeleton, config, tensors, number, scheme) + adapter_parameters * _ADAPTER_BYTES
    most = hf_plan.positions(config)
    hf_plan.check_context(context, most)
    per_token = hf_plan.kv_bytes_per_token(config, number)
    placement = hf_plan.place(weights=weights, per_token=per_token, most=most, asked=context, device=where)
    model = hf_model.load_model(folder, config, dtype=number, placement=placement, quantize=scheme, offload=offload)
    from mistral_cli.backends.hf_engine import HfEngine  # noqa: PLC0415 (imports transformers, which may be absent)

    engine = HfEngine(
        model,
        context=placement.context,
        most=most,
        eos_ids={tokenizer.eos_id, *own.eos_ids},
        control_ids=tokenizer.control_ids,
    )
    info = ModelInfo(
        name=name,
        path=str(folder),
        parameters=hf_plan.parameters(skeleton),
        dtype=str(number).removeprefix("torch."),
        device=_where(model),
        context=placement.context,
        tokenizer=tokenizer.version,
        is_base=tokenizer.is_base,
        quantization=scheme,
        backend="hf",
    )
    return HfBackend(engine=engine, tokenizer=tokenizer, info=info, defaults=own.sampling)


def _choose_device(asked: str | None) -> torch.device | None:
    """Return the one device for everything; None: wherever there is room."""
    if asked == "auto" or (asked is None and torch.cuda.device_count()):
        return None
    return choose_device(asked)


def _check_names(dtype: str | None, quantize: str | None) -> None:
    if dtype is not None and dtype not in DTYPES:
        raise UsageError(f"--dtype is {dtype!a:.40}, but must be one of {', '.join(DTYPES)}.")
    if quantize is not None and quantize not in QUANTIZATIONS:
        message = f"--quantize {quantize!s:.40} cannot be used with --backend hf, only {', '.join(QUANTIZATIONS)}."
        raise UsageError(message, "Take nf4: it is as small.")


def _choose_scheme(asked: str | None, config: Any, parameters: int) -> str:
    """Return how the linear layers are held: as they are quantized already, as was asked, or by size."""
    done = hf_model.quantized_by(config)
    if done is None:
        return asked or (DEFAULT if parameters >= SMALL else "none")
    check_asked(asked, done)
    return done


def _choose_dtype(asked: str | None, scheme: str, tensors: Mapping[str, TensorInfo], config: Any) -> torch.dtype:
    """Return the dtype to compute in: the one asked for, else bfloat16 where we quantize, else the checkpoint's own."""
    if asked is not None:
        return DTYPES[asked]
    stated = getattr(config, "dtype", None)
    if hf_model.quantized_by(config) is not None:
        return stated if isinstance(stated, torch.dtype) else torch.bfloat16
    return torch.bfloat16 if scheme != "none" else STORED.get(main_dtype(tensors.values()), torch.bfloat16)


def _weight_bytes(
    skeleton: Any, config: Any, tensors: Mapping[str, TensorInfo], number: torch.dtype, scheme: str
) -> int:
    if hf_model.quantized_by(config) is None:
        return hf_plan.weight_bytes(skeleton, number, scheme)
    return sum(tensor.nbytes for tensor in tensors.values())


def _where(model: Any) -> str:
    """Return the devices that hold weights, the disk among them."""
    places = dict.fromkeys(str(weight.device) for weight in model.parameters())
    return ", ".join("disk" if place == "meta" else place for place in places)


@dataclass(slots=True, kw_only=True)
class HfBackend:
    """A model of transformers and a tokenizer. Keeps the cache of the last conversation; one answer at a time."""

    engine: HfEngine
    tokenizer: Tokenizer
    info: ModelInfo
    defaults: Mapping[str, object]
    """The sampling parameters that the model's own files ask for."""
    adapters: HfAdapters = field(init=False)
    """What is on the model beside its own weights."""

    def __post_init__(self) -> None:
        """Make the shelf of adapters, empty."""
        self.adapters = HfAdapters(self.engine, self._tell_adapters)

    def _tell_adapters(self, attached: tuple[AdapterInfo, ...]) -> None:
        self.info = replace(self.info, adapters=attached)

    def count(self, prompt: Prompt, tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens the prompt takes, control tokens included.

        Raises:
            UsageError: the chat format cannot express it.
        """
        return len(self.encode(prompt, tools))

    def encode(self, prompt: Prompt, tools: Sequence[Tool] = ()) -> tuple[int, ...]:
        """Return the ids of a prompt: the text as the tokenizer begins one for a str, the chat format for messages.

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
        """Answer ``prompt``; the last event is ``Done``. As ``NativeBackend.stream`` has it.

        Raises:
            ContextError: the prompt does not fit; raised before anything is computed.
            UsageError: a prompt that the model's chat format cannot express.
            MistralError: the logits are not finite.
        """
        request = Request(prompt=prompt, params=params, tools=tools, cancel=cancel)
        ids, answer = open_answer(self.tokenizer, request, context=self.engine.context, most=self.engine.most)
        return answer.run(self.engine.generate(ids, params, cancel=answer.stopper))
