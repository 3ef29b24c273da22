"""Prefill, decode, stop on ids: a prompt's ids in, events with ids out. Knows no text and no file."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

import torch

from mistral_cli.contract import Notice, PrefillProgress, TokenDrawn
from mistral_cli.engine.answer import Answer, CancelledError
from mistral_cli.engine.faults import check_bias, check_prompt, not_finite, out_of_memory
from mistral_cli.engine.host_memory import peak_resident
from mistral_cli.engine.plan import CHUNK
from mistral_cli.engine.prefix import KeptSequence
from mistral_cli.engine.sampler import Seen, next_id
from mistral_cli.weights.allocate import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Sequence

    from torch import Tensor

    from mistral_cli.contract import Cancel, EngineEvent, SamplingParams
    from mistral_cli.model.transformer import Mistral

_NEVER = threading.Event()


class NativeEngine:
    """Token ids in, token ids out, on our own model. Keeps the cache of the last sequence for the next call.

    One answer at a time: a new one closes the one before it.

    Args:
        model: the decoder, where and in the dtype it computes.
        context: tokens that fit, prompt and answer together; by default what the model was made for.
        eos_ids: the ids that end an answer.
        control_ids: ids that no penalty touches.
        chunk: prompt tokens read in one go.
    """

    def __init__(
        self,
        model: Mistral,
        *,
        context: int | None = None,
        eos_ids: Collection[int],
        control_ids: Collection[int] = (),
        chunk: int = CHUNK,
    ) -> None:
        self.model = model
        self._context = context or model.args.max_position_embeddings
        self._eos = frozenset(eos_ids)
        self._protected = self._eos.union(control_ids)
        self._chunk = chunk
        self._kept = KeptSequence(model.new_cache(capacity=self._context))
        self._running: Generator[EngineEvent, None, None] | None = None

    @property
    def context(self) -> int:
        """Tokens that fit: prompt and answer together."""
        return self._context

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
        answer = self._new(list(prompt), params, cancel or _NEVER)
        if self._running:
            self._running.close()
        self._running = self._events(answer)
        return self._running

    def _new(self, prompt: list[int], params: SamplingParams, cancel: Cancel) -> Answer:
        check_prompt(prompt, self._context, self.model.args.max_position_embeddings)
        check_bias(params, self.model.args.vocab_size)
        room = self._context - len(prompt)
        seed = secrets.randbits(32) if params.seed is None else int(params.seed)
        ids: list[int] = []
        return Answer(
            prompt=prompt,
            params=params,
            cancel=cancel,
            generator=torch.Generator().manual_seed(seed),
            seen=Seen(prompt=prompt, answer=ids, protected=self._protected),
            ids=ids,
            room=room if params.max_tokens is None else min(room, int(params.max_tokens)),
        )

    def _events(self, answer: Answer) -> Generator[EngineEvent, None, None]:
        try:
            logits = yield from self._read(answer)
            yield from self._write(answer, logits)
        except CancelledError:
            answer.reason = "cancelled"
        yield answer.done(peak_memory(self.model.device))

    def _read(self, answer: Answer) -> Generator[EngineEvent, None, Tensor]:
        """Prefill what the cache does not hold yet; return the logits ``(V,)`` after the last id of the prompt."""
        total = len(answer.prompt)
        answer.reused, rolled = self._kept.keep(answer.prompt)
        if rolled:  # a chat goes on, and it will take as long as a new one
            yield Notice("The sliding window has moved past the place to go on from: the prompt is read again.")
        yield PrefillProgress(answer.reused, total, answer.reused)
        for start in range(answer.reused, total, self._chunk):
            logits = self._step(answer.prompt[start : start + self._chunk], answer)
            yield PrefillProgress(min(start + self._chunk, total), total, answer.reused)
        return logits

    def _write(self, answer: Answer, logits: Tensor) -> Iterator[EngineEvent]:
        """Draw until EOS, the limit or a cancel; the last id drawn stays out of the cache."""
        while True:
            answer.check()
            token = self._draw(answer, logits)
            if token.id in self._eos:
                return
            yield token
            if answer.drawn == answer.room:
                answer.reason = "length"
                return
            logits = self._step([token.id], answer)

    @torch.inference_mode()
    def _step(self, ids: list[int], answer: Answer) -> Tensor:
        """Put ``ids`` through the model and into the cache; return the logits ``(V,)`` after the last.

        Between any two layers a cancelled answer leaves it; the cache is then as it was.
        """
        tokens = torch.tensor([ids], device=self.model.device)  # (1, T)
        try:
            logits, _ = self.model(tokens, self._kept.cache, last_only=True, on_layer=answer.check)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise out_of_memory(error) from error
            raise
        self._kept.add(ids)
        return logits[0, -1]

    @torch.inference_mode()
    def _draw(self, answer: Answer, logits: Tensor) -> TokenDrawn:
        """Draw the next id. One number comes back from the device: the id, or -1 where the logits are not finite."""
        chosen = next_id(logits, answer.params, answer.seen, answer.generator)
        token = int(torch.where(logits.sum().isfinite(), chosen, -1))
        if token < 0:
            self._kept.forget()
            raise not_finite(answer.drawn + 1, len(answer.prompt))
        answer.note(token)
        if answer.params.logprobs is None:
            return TokenDrawn(id=token)
        return _with_logprobs(token, logits, int(answer.params.logprobs))


def _with_logprobs(token: int, logits: Tensor, count: int) -> TokenDrawn:
    logprobs = logits.log_softmax(-1)
    values, ids = logprobs.topk(min(count, logprobs.shape[-1]))
    top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
    return TokenDrawn(id=token, logprob=logprobs[token].item(), top=top)


def peak_memory(device: torch.device) -> int:
    """Return the peak in bytes: of the allocator on CUDA, elsewhere of the process's resident size."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_resident()
