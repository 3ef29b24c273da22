"""Prefill, decode, stop on ids, with any of transformers' language models. Knows no text and no file.

The loop is ours, and so is the sampler, so that every option means what it means with our own models; transformers
computes logits and keeps keys and values.
"""

from __future__ import annotations

import inspect
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mistral_cli.backends.hf_cache import KeptSequence
from mistral_cli.backends.hf_quiet import quiet
from mistral_cli.engine.answer import CancelledError
from mistral_cli.engine.draw import begin_answer
from mistral_cli.engine.faults import check_bias, check_prompt, out_of_memory
from mistral_cli.engine.host_memory import peak_resident
from mistral_cli.engine.loop import Loop
from mistral_cli.engine.plan import CHUNK
from mistral_cli.errors import CheckpointError
from mistral_cli.weights.allocate import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Sequence

    from torch import Tensor

    from mistral_cli.contract import Cancel, EngineEvent, SamplingParams
    from mistral_cli.engine.answer import Answer

_NEVER = threading.Event()


class HfEngine:
    """Token ids in, token ids out, on a model of transformers. Keeps the cache of the last sequence for the next call.

    One answer at a time: a new one closes the one before it.

    Args:
        model: one of transformers' causal language models, loaded.
        context: tokens that fit, prompt and answer together.
        most: tokens that the model was made for.
        eos_ids: the ids that end an answer.
        control_ids: ids that no penalty touches.
        chunk: prompt tokens read in one go.

    Raises:
        CheckpointError: a model that keeps nothing from token to token.
    """

    def __init__(
        self,
        model: Any,
        *,
        context: int,
        most: int,
        eos_ids: Collection[int],
        control_ids: Collection[int] = (),
        chunk: int = CHUNK,
    ) -> None:
        self.model = model
        self._context = context
        self._most = most
        self._protected = frozenset(eos_ids).union(control_ids)
        self._kept = KeptSequence(model.config)
        self._loop = Loop(
            eos=frozenset(eos_ids),
            chunk=chunk if self._kept.rewinds else context,
            keep=self._keep,
            step=self._step,
            next=self._next,
            forget=self._kept.forget,
            peak_memory=partial(_peak_memory, model),
        )
        self._cache_name = _cache_name(model)
        self._options = _forward_options(model)
        self._running: Generator[EngineEvent, None, None] | None = None
        self._answer: Answer | None = None
        for layer in _layers(model):  # a cancelled answer leaves between any two layers
            layer.register_forward_pre_hook(self._check)

    @property
    def context(self) -> int:
        """Tokens that fit: prompt and answer together."""
        return self._context

    @property
    def most(self) -> int:
        """Tokens that the model was made for."""
        return self._most

    @property
    def vocab_size(self) -> int:
        """Ids that the model knows run from 0 to one less."""
        return int(self.model.get_input_embeddings().weight.shape[0])

    def model_changed(self) -> None:
        """Forget what was computed with the model as it was; an answer that is under way is ended."""
        if self._running:
            self._running.close()
        self._kept.forget()

    def generate(
        self, prompt: Sequence[int], params: SamplingParams, *, cancel: Cancel | None = None
    ) -> Generator[EngineEvent, None, None]:
        """Yield progress while reading, then each id (EOS is not yielded), then ``TokensDone``.

        Closing the iterator ends the answer there and keeps the cache of what was drawn. Log-probabilities are those of
        the model itself, the log-softmax of its logits before any bias, penalty or filter.

        Raises:
            ContextError: the prompt fills the context.
            UsageError: the prompt is empty, or a bias is for a token that the model does not have.
            MistralError: the logits are not finite; the message names the token.
        """
        check_prompt(prompt, self._context, self._most)
        check_bias(params, self.vocab_size)
        answer = begin_answer(prompt, params, cancel or _NEVER, context=self._context, protected=self._protected)
        if self._running:
            self._running.close()
        self._running = self._loop.run(answer)
        return self._running

    def _keep(self, answer: Answer) -> str:
        answer.reused = self._kept.keep(answer.prompt)
        return ""

    def _next(self, token: int, answer: Answer) -> Tensor:
        return self._step([token], answer)

    @torch.inference_mode()
    def _step(self, ids: list[int], answer: Answer) -> Tensor:
        """Put ``ids`` through the model and into the cache; return the logits ``(V,)`` after the last."""
        tokens, self._answer = torch.tensor([ids], device=_input_device(self.model)), answer  # (1, T)
        try:
            with quiet():
                logits = self.model(tokens, **self._options, **{self._cache_name: self._kept.cache}).logits[0, -1]
        except CancelledError:
            self._kept.cut()
            raise
        except RuntimeError as error:
            self._kept.cut()
            if is_out_of_memory(error):
                raise out_of_memory(error) from error
            raise
        self._kept.add(ids)
        last: Tensor = logits if logits.dtype == torch.float64 else logits.float()
        return last

    def _check(self, *_layer: object) -> None:
        if self._answer is not None:
            self._answer.check()


def _forward_options(model: Any) -> dict[str, Any]:
    """Return the arguments of every pass: to keep what was computed, and the last position's logits alone."""
    known = inspect.signature(model.forward).parameters
    return {"use_cache": True} | ({"logits_to_keep": 1} if "logits_to_keep" in known else {})


def _cache_name(model: Any) -> str:
    """Return what the model calls its cache.

    Raises:
        CheckpointError: it has none.
    """
    known = inspect.signature(model.forward).parameters
    for name in ("past_key_values", "cache_params"):  # the latter where there are recurrent states only
        if name in known:
            return name
    kind = type(model).__name__
    raise CheckpointError(f"{kind} keeps nothing from token to token that could be gone on from.", "Use another model.")


def _layers(model: Any) -> Iterable[nn.Module]:
    """Return the modules that a pass goes through one after the other: the list of as many as the config has layers."""
    count = getattr(model.config.get_text_config(), "num_hidden_layers", 0)
    lists = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    return next((layers for layers in lists if len(layers) == count), ())


def _input_device(model: Any) -> torch.device:
    """Return where ids are wanted; what lies on the disk is computed where the first weights in memory are."""
    return next((weight.device for weight in model.parameters() if weight.device.type != "meta"), torch.device("cpu"))


def _peak_memory(model: Any) -> int:
    """Return the peak in bytes: of the allocators of all GPUs in use, else of the process's resident size."""
    gpus = {weight.device for weight in model.parameters() if weight.device.type == "cuda"}
    return sum(map(torch.cuda.max_memory_allocated, gpus)) or peak_resident()
